//! How the gradient of a convolution by its weights falls into pieces of work.

use crate::threads::Threads;

/// Pieces to aim at: as many threads can help.
pub const PIECES: usize = 8;

/// Output channels for which patches are worth making anew.
const LEAST_CHANNELS: usize = 64;

/// A piece is the sum over a run of images for a block of output channels. The pieces follow from the shape alone, so the threads do not matter.
pub struct PartialSums {
    /// Images of one partial sum.
    pub images: usize,
    /// Output channels of one piece.
    pub channels: usize,
}

impl PartialSums {
    /// Those of `images` images and `outputs` output channels of all groups.
    pub fn new(images: usize, groups: usize, outputs: usize) -> Self {
        let per_group = outputs / groups;
        let fits = |pieces: &usize| per_group.is_multiple_of(*pieces) && per_group / pieces >= LEAST_CHANNELS;
        let pieces = (1..=PIECES).rev().find(fits).unwrap_or(1);
        let partials = (PIECES / (pieces * groups)).clamp(1, images.max(1));
        Self { images: images.div_ceil(partials).max(1), channels: per_group / pieces }
    }
}

/// Adds partial sums `[partials, o, taps, channels]`, in order, and turns them into dw `[o, channels, taps]`.
pub fn add_partials(threads: Threads, partials: &[f32], [taps, channels]: [usize; 2], dw: &mut [f32]) {
    add_some_taps(threads, partials, [taps, channels], (taps, |tap| tap), dw);
}

/// The same for some of `all` taps, of which `place` tells the numbers; dw is 0 for the others.
pub fn add_some_taps(
    threads: Threads,
    partials: &[f32],
    [taps, channels]: [usize; 2],
    (all, place): (usize, impl Fn(usize) -> usize + Sync),
    dw: &mut [f32],
) {
    let (depth, each) = (taps * channels, dw.len() / (all * channels) * taps * channels);
    threads.for_chunks(dw, all * channels, |output, dw| {
        if taps < all {
            dw.fill(0.0);
        }
        for (partial, partials) in partials.chunks_exact(each).enumerate() {
            let sums = &partials[output * depth..][..depth];
            for (tap, sums) in sums.chunks_exact(channels).enumerate() {
                for (dw, sum) in dw[place(tap)..].iter_mut().step_by(all).zip(sums) {
                    *dw = if partial == 0 { *sum } else { *dw + sum };
                }
            }
        }
    });
}
