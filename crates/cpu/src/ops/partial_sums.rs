//! How the gradient of a convolution by its weights falls into pieces of work.

use binary_nets_kernels::Isa;

use crate::threads::Threads;

/// Pieces to aim at: as many threads can help.
pub const PIECES: usize = 8;

/// Channels that are summed side by side.
const BLOCK: usize = 64;

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
pub fn add_partials(threads: Threads, isa: Isa, partials: &[f32], [taps, channels]: [usize; 2], dw: &mut [f32]) {
    add_some_taps(threads, isa, partials, [taps, channels], (taps, |tap| tap), dw);
}

/// The same for some of `all` taps, of which `place` tells the numbers; dw is 0 for the others.
pub fn add_some_taps(
    threads: Threads,
    isa: Isa,
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
        isa.vectorize(
            #[inline(always)]
            || {
                for tap in 0..taps {
                    for first in (0..channels).step_by(BLOCK) {
                        // Sums side by side, before they are spread out.
                        let mut sums = [0.0; BLOCK];
                        let sums = &mut sums[..BLOCK.min(channels - first)];
                        for (i, partial) in partials.chunks_exact(each).enumerate() {
                            let partial = &partial[output * depth + tap * channels + first..][..sums.len()];
                            for (sum, partial) in sums.iter_mut().zip(partial) {
                                *sum = if i == 0 { *partial } else { *sum + partial };
                            }
                        }
                        let dw = dw[first * all + place(tap)..].iter_mut().step_by(all);
                        dw.zip(sums).for_each(|(dw, sum)| *dw = *sum);
                    }
                }
            },
        );
    });
}
