//! The tile: P output pixels of one row × N vectors of output channels, summed over words of products.
//!
//! ```text
//! for each output row, block of channels, P pixels, part:      (the lines and the block's weights stay in the first cache)
//!     for each segment of the part inside the image, for each word of it: acc[p, o] += line[p]·w[o] + line[p + 1]·w'[o] + …
//!     out (+)= acc
//! ```

use super::{Job, Sum, factors::Factors, lines::Lines, segments::Segment};
use crate::vector::Pairs;

/// The whole job with tiles of `P` pixels × `N` vectors of channels.
#[inline(always)]
pub(super) fn run<S: Pairs, F: Factors<S>, T: Sum, const P: usize, const N: usize>(token: S, job: Job<'_, T>) {
    let shape = job.shape;
    let (block, channels, out_w) = (N * S::LANES, shape.geometry.out_channels, shape.out_size[1]);
    let step = shape.geometry.stride[1] * shape.geometry.in_channels;
    let laid = F::weights(job.laid);
    let mut lines = Lines::new(shape, job.image, F::line(job.scratch));
    for (y, out) in job.rows.zip(job.out.chunks_exact_mut(out_w * channels)) {
        lines.advance(y);
        for (channel, weights) in (0..channels).step_by(block).zip(laid.chunks_exact(shape.words * block)) {
            let valid = block.min(channels - channel);
            for x in (0..out_w).step_by(P) {
                // A tile across the end computes the last pixel again.
                let mut at = [0; P];
                for (p, at) in at.iter_mut().enumerate() {
                    *at = (x + p).min(out_w - 1) * step;
                }
                let mut rest = weights;
                for (i, part) in shape.parts.iter().enumerate() {
                    let sums = tile::<S, F, P, N>(token, &lines, y, part, at, &mut rest);
                    for (p, sums) in sums.iter().enumerate() {
                        // Not `take`: so the loop is unrolled and the sums stay in registers.
                        if x + p < out_w {
                            let out = &mut out[(x + p) * channels + channel..][..valid];
                            if valid == block {
                                put(token, sums, i == 0, out);
                            } else {
                                let mut whole = [T::default(); 64];
                                whole[..valid].copy_from_slice(out);
                                put(token, sums, i == 0, &mut whole);
                                out.copy_from_slice(&whole[..valid]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes the sums of one pixel, or adds them where they are not the `first`.
#[inline(always)]
fn put<S: Pairs, T: Sum, const N: usize>(token: S, sums: &[S::I32; N], first: bool, out: &mut [T]) {
    for (v, &sums) in sums.iter().enumerate() {
        T::put(token, sums, first, &mut out[v * S::LANES..(v + 1) * S::LANES]);
    }
}

/// The sums of a part for the pixels that start `at` places of their lines; takes its words `[words, N · LANES]` from the front of `weights`.
#[inline(always)]
fn tile<S: Pairs, F: Factors<S>, const P: usize, const N: usize>(
    token: S,
    lines: &Lines<'_, F::Pixel>,
    y: usize,
    part: &[Segment],
    at: [usize; P],
    weights: &mut &[F::Weights],
) -> [[S::I32; N]; P] {
    let block = N * S::LANES;
    let mut sums = [[token.zero_sums(); N]; P];
    for segment in part {
        let words = segment.words(F::PER_WORD);
        let (here, rest) = weights.split_at(words * block);
        *weights = rest;
        let Some(line) = lines.under(y, segment.row) else { continue };
        let mut pixels = [&[][..]; P];
        for (pixels, at) in pixels.iter_mut().zip(at) {
            *pixels = &F::pixels(&line[at + segment.at..])[..words];
        }
        for (i, w) in (0..words).zip(here.chunks_exact(block)) {
            let mut vectors = [token.zero_sums(); N];
            for (v, vector) in vectors.iter_mut().enumerate() {
                *vector = F::load(token, &w[v * S::LANES..]);
            }
            for p in 0..P {
                let x = F::splat(token, pixels[p][i]);
                for v in 0..N {
                    sums[p][v] = F::dot(token, x, vectors[v], sums[p][v]);
                }
            }
        }
    }
    sums
}
