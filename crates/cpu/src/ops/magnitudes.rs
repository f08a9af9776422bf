//! The largest magnitudes of channels, by which gradients are rounded.

use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::Isa;

use super::partial_sums::PIECES;
use crate::threads::Threads;

/// Elements of scratch that [`magnitudes`] needs: none where nothing is rounded.
pub fn scratch_len(rounding: Option<StochasticRounding>, channels: usize) -> usize {
    if rounding.is_some() { (PIECES * channels).next_multiple_of(16) } else { 0 }
}

/// The largest magnitude of each channel of `x: [pixels, channels]`, a NaN where there is one.
pub fn magnitudes<'a>(threads: Threads, isa: Isa, x: &[f32], channels: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    let all = &mut scratch[..PIECES * channels];
    let piece = (x.len() / channels).div_ceil(PIECES).max(1) * channels;
    threads.for_chunks(all, channels, |i, most| {
        let x = &x[x.len().min(i * piece)..x.len().min((i + 1) * piece)];
        most.fill(0.0);
        isa.vectorize(
            #[inline(always)]
            || {
                for x in x.chunks_exact(channels) {
                    most.iter_mut().zip(x).for_each(|(most, x)| *most = larger(*most, *x));
                }
            },
        );
    });
    let (first, rest) = all.split_at_mut(channels);
    for most in rest.chunks_exact(channels) {
        first.iter_mut().zip(most).for_each(|(first, most)| *first = larger(*first, *most));
    }
    first
}

/// What a tensor of these largest magnitudes, times factors, is rounded with: one factor for all channels, for each group, or for each of them.
pub fn rounding_of(rounding: StochasticRounding, most: &[f32], factors: &[f32], (seed, step): (u64, u64)) -> Rounding {
    let channels = most.len();
    let scaled = most.iter().enumerate().map(|(i, most)| factors[i * factors.len() / channels] * most);
    rounding.of(scaled.fold(0.0, larger), seed, step)
}

/// The larger of a magnitude and another number's: as bits, because there NaNs are the largest.
#[inline(always)]
pub fn larger(most: f32, x: f32) -> f32 {
    f32::from_bits(most.to_bits().max(x.abs().to_bits()))
}
