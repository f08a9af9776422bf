//! Weights as the tile reads them, and the constants of the output transform and the border.
//!
//! One buffer holds three parts: the blocks, `[groups, blocks]` of words `[depth, block]` as running parities over the depth, or of [`nibbles`]; `base`,
//! i32 `[groups, blocks, block]`; and, where the border is corrected, the sums of each tap's weights, i32 `[taps, groups · out_channels]`.

use super::{Form, Shape, nibbles};
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
        self.geometry.groups * self.blocks() * self.block_words()
    }

    fn block_words(&self) -> usize {
        match self.form {
            Form::Parities => self.depth * self.block,
            Form::Nibbles => (self.nibbles() * self.block).div_ceil(8),
        }
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
pub(super) fn lay<'a>(shape: &Shape, mut outputs: impl Iterator<Item = &'a [u64]>, laid: &mut [u64]) {
    let (block, channels) = (shape.block, shape.geometry.all_out_channels());
    laid.fill(0);
    let (words, rest) = laid.split_at_mut(shape.tile_words());
    let (base, tap_sums) = rest.split_at_mut(shape.base_words());
    let base: &mut [i32] = bytemuck::cast_slice_mut(base);
    let tap_sums: &mut [i32] = bytemuck::cast_slice_mut(tap_sums);
    let mut output = 0;
    for (i, (words, base)) in words.chunks_exact_mut(shape.block_words()).zip(base.chunks_exact_mut(block)).enumerate()
    {
        let mut lanes = [&[][..]; 64];
        let valid = block.min(shape.geometry.out_channels - i % shape.blocks() * block);
        let lanes = &mut lanes[..valid];
        for ((lane, base), weights) in lanes.iter_mut().zip(base).zip(&mut outputs) {
            *lane = weights;
            *base = match shape.codes {
                Codes::Sign => shape.depth_bits() as i32,
                Codes::Step => -count_ones(weights),
            };
            if shape.corrects_border() {
                for (tap, weights) in weights.chunks_exact(shape.words).enumerate() {
                    tap_sums[tap * channels + output] = shape.geometry.in_channels as i32 - 2 * count_ones(weights);
                }
            }
            output += 1;
        }
        match shape.form {
            Form::Parities => parities(shape, lanes, words),
            Form::Nibbles => nibbles::lay(shape, lanes, words),
        }
    }
}

/// Lays a block of `outputs`, `[taps, words]` each, as `laid: [depth, block]`, which is zeroed.
#[inline(always)]
fn parities(shape: &Shape, outputs: &[&[u64]], laid: &mut [u64]) {
    let block = shape.block;
    for (lane, weights) in outputs.iter().enumerate() {
        for (tap, weights) in weights.chunks_exact(shape.words).enumerate() {
            for (word, &bits) in weights.iter().enumerate() {
                laid[shape.place(tap, word) * block + lane] |= bits << shape.shift(tap);
            }
        }
    }
    // The parities, all lanes at a time.
    for place in (1..shape.depth).filter(|place| shape.is_parity(*place)) {
        let (before, here) = laid.split_at_mut(place * block);
        for (here, before) in here[..block].iter_mut().zip(&before[(place - 1) * block..]) {
            *here ^= before;
        }
    }
}

#[inline(always)]
fn count_ones(words: &[u64]) -> i32 {
    words.iter().map(|word| word.count_ones() as i32).sum()
}
