//! Weights as the tile reads them, and the constants of the output transform and the border.
//!
//! One buffer holds three parts: words `[groups, blocks, depth, block]` as running parities over the depth; `base`, i32
//! `[groups, blocks, block]`; and, where the border is corrected, the sums of each tap's weights, i32 `[taps, groups · out_channels]`.

use super::Shape;
use binary_nets_bits::Codes;

/// The parts of laid weights.
pub(crate) struct Laid<'a> {
    pub words: &'a [u64],
    pub base: &'a [i32],
    pub tap_sums: &'a [i32],
}

impl<'a> Laid<'a> {
    pub fn new(shape: &Shape, laid: &'a [u64]) -> Self {
        let (words, rest) = laid.split_at(shape.tile_words());
        let (base, tap_sums) = rest.split_at(shape.base_words());
        Self { words, base: bytemuck::cast_slice(base), tap_sums: bytemuck::cast_slice(tap_sums) }
    }
}

impl Shape {
    pub(super) fn laid_words(&self) -> usize {
        self.tile_words() + self.base_words() + self.tap_sum_words()
    }

    fn laid_channels(&self) -> usize {
        self.geometry.groups * self.blocks() * self.block
    }

    fn tile_words(&self) -> usize {
        self.laid_channels() * self.depth
    }

    fn base_words(&self) -> usize {
        self.laid_channels().div_ceil(2)
    }

    fn tap_sum_words(&self) -> usize {
        let sums = if self.corrects_border() { self.geometry.taps() * self.geometry.all_out_channels() } else { 0 };
        sums.div_ceil(2)
    }
}

/// Lays `outputs: [groups · out_channels]` of `[taps, words]`.
#[inline(always)]
pub(super) fn lay<'a>(shape: &Shape, outputs: impl Iterator<Item = &'a [u64]>, laid: &mut [u64]) {
    let g = &shape.geometry;
    let (channels, block) = (g.all_out_channels(), shape.block);
    laid.fill(0);
    let (words, rest) = laid.split_at_mut(shape.tile_words());
    let (base, tap_sums) = rest.split_at_mut(shape.base_words());
    let base: &mut [i32] = bytemuck::cast_slice_mut(base);
    let tap_sums: &mut [i32] = bytemuck::cast_slice_mut(tap_sums);
    for (output, weights) in outputs.enumerate() {
        let (group, channel) = (output / g.out_channels, output % g.out_channels);
        let (tile, lane) = (group * shape.blocks() + channel / block, channel % block);
        let column = &mut words[tile * shape.depth * block + lane..][..=(shape.depth - 1) * block];
        for (tap, weights) in weights.chunks_exact(shape.words).enumerate() {
            for (word, &bits) in weights.iter().enumerate() {
                column[shape.place(tap, word) * block] |= bits << shape.shift(tap);
            }
            if shape.corrects_border() {
                tap_sums[tap * channels + output] = g.in_channels as i32 - 2 * count_ones(weights);
            }
        }
        base[tile * block + lane] = match shape.codes {
            Codes::Sign => shape.depth_bits() as i32,
            Codes::Step => -count_ones(weights),
        };
    }
    // The parities, all lanes of a block at a time.
    for tile in words.chunks_exact_mut(shape.depth * block) {
        for place in (1..shape.depth).filter(|place| shape.is_parity(*place)) {
            let (before, here) = tile.split_at_mut(place * block);
            for (here, before) in here[..block].iter_mut().zip(&before[(place - 1) * block..]) {
                *here ^= before;
            }
        }
    }
}

#[inline(always)]
fn count_ones(words: &[u64]) -> i32 {
    words.iter().map(|word| word.count_ones() as i32).sum()
}
