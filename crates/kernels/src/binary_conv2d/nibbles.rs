//! Weights and pixels as nibbles, four bits of the depth each.
//!
//! Of each word of the depth come first the lower nibbles of its bytes, then the upper ones, as far as the word is used, so that no side has to
//! interleave them. Weights are one nibble a byte, `[groups, blocks, depth, block]`; pixels are taken in pairs, two nibbles a byte,
//! `[CHUNK / 2, depth]`. The depth becomes a whole number of groups of lookups; what the last one lacks is 0 on both sides.

use super::{CHUNK, Shape, gather, table};
use std::ops::Range;

/// The lower nibble of each byte.
const LOWER: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// The parts of the scratch.
pub(super) struct Scratch<'a> {
    /// Words as they are gathered, `[depth, CHUNK]`.
    words: &'a mut [u64],
    /// Lines of the nibbles of a pair of pixels, `[CHUNK / 2, line]`.
    pub lines: &'a mut [u8],
    /// Bytes of a line: whole groups of lookups.
    pub line: usize,
    /// Counts `[CHUNK, block]`.
    pub counts: &'a mut [u16],
}

impl<'a> Scratch<'a> {
    pub fn new(shape: &Shape, scratch: &'a mut [u64]) -> Self {
        let (words, rest) = scratch.split_at_mut(shape.depth * CHUNK);
        let line = shape.line_words();
        let (lines, counts) = rest.split_at_mut(CHUNK / 2 * line);
        let (lines, counts) = (bytemuck::cast_slice_mut(lines), bytemuck::cast_slice_mut(counts));
        Self { words, lines, line: 8 * line, counts }
    }

    /// Gathers group `group` for the output pixels `pixels`, numbered along the rows of the image.
    #[inline(always)]
    pub fn gather(&mut self, shape: &Shape, image: &[u64], group: usize, pixels: Range<usize>) {
        let pairs = pixels.len().div_ceil(2);
        gather::words(shape, image, group, pixels, self.words);
        let mut at = 0;
        for (place, words) in self.words.chunks_exact(CHUNK).enumerate() {
            let half = shape.used_bytes(place);
            // All pairs that there could be, so that it becomes vector code.
            let mut nibbles = [[0; CHUNK / 2]; 2];
            let [lower, upper] = &mut nibbles;
            for ((lower, upper), [first, second]) in lower.iter_mut().zip(upper).zip(words.as_chunks().0) {
                *lower = (first & LOWER) | ((second & LOWER) << 4);
                *upper = ((first >> 4) & LOWER) | (second & !LOWER);
            }
            let lines = self.lines.chunks_exact_mut(self.line).take(pairs);
            for ((line, lower), upper) in lines.zip(nibbles[0]).zip(nibbles[1]) {
                // Whole words: what is written too much, the next ones overwrite.
                line[at..at + 8].copy_from_slice(&u64::to_le_bytes(lower));
                line[at + half..at + half + 8].copy_from_slice(&u64::to_le_bytes(upper));
            }
            at += 2 * half;
        }
        for line in self.lines.chunks_exact_mut(self.line).take(pairs) {
            line[at..at + table::GROUP].fill(0);
        }
    }
}

impl Shape {
    /// Nibbles of the depth.
    pub(super) fn nibbles(&self) -> usize {
        let used: usize = (0..self.depth).map(|place| 2 * self.used_bytes(place)).sum();
        used.next_multiple_of(table::GROUP)
    }

    /// Words of scratch.
    pub(super) fn nibble_scratch_words(&self) -> usize {
        self.depth * CHUNK + CHUNK / 2 * self.line_words() + (CHUNK * self.block).div_ceil(4)
    }

    /// Words of a line of nibbles, and of what is written behind it.
    fn line_words(&self) -> usize {
        (self.nibbles().div_ceil(8) + 1).next_multiple_of(table::GROUP)
    }

    /// Bytes that hold bits in the word at `place` of the depth.
    fn used_bytes(&self, place: usize) -> usize {
        let taps = self.taps_at(place).len();
        let channels = (self.geometry.in_channels - place % self.words * 64).min(64);
        ((taps - 1) * (64 >> self.log_taps_per_word) + channels).div_ceil(8)
    }

    /// The taps that share the word at `place` of the depth.
    fn taps_at(&self, place: usize) -> Range<usize> {
        let first = place / self.words;
        let start = |word: usize| (word << self.log_taps_per_word).min(self.geometry.taps());
        start(first)..start(first + 1)
    }
}

/// Lays a block of `outputs`, `[taps, words]` each, as `laid: [depth, block]`, which is zeroed.
#[inline(always)]
pub(super) fn lay(shape: &Shape, outputs: &[&[u64]], laid: &mut [u64]) {
    let laid: &mut [u8] = bytemuck::cast_slice_mut(laid);
    let mut rows = laid.chunks_exact_mut(shape.block);
    for place in 0..shape.depth {
        let mut column = [0; 64];
        for tap in shape.taps_at(place) {
            for (column, output) in column.iter_mut().zip(outputs) {
                *column |= output[tap * shape.words + place % shape.words] << shape.shift(tap);
            }
        }
        for odd in [0, 4] {
            for (byte, row) in (0..shape.used_bytes(place)).zip(rows.by_ref()) {
                for (nibble, word) in row.iter_mut().zip(&column) {
                    *nibble = (word >> (8 * byte + odd)) as u8 & 15;
                }
            }
        }
    }
}
