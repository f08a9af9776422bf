//! Batch normalisation over rows `[rows, c]`.
//!
//! Sums go over fixed chunks of rows, in f64, and the chunks are added in order; so they depend neither on threads nor, in f32, on the instruction set.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{
    BatchNorm, BatchNormFused, BatchNormGrad, BatchNormInference, StatisticsMomentum, UpdateStatistics,
};
use binary_nets_kernels::Isa;

use super::relu::relu;
use super::{elementwise::CHUNK, in_place, plain};
use crate::io::Kernel;
use crate::target::Target;
use crate::threads::Threads;

/// Channels that are handled at once.
const BLOCK: usize = 16;

/// Channels that are summed at once, where there are so many: fewer would read memory in small pieces far apart, and take several times as long.
const WIDE: usize = 64;

/// The extents of a tensor that is normalised.
#[derive(Clone, Copy, Debug)]
struct Rows {
    rows: usize,
    channels: usize,
}

impl Rows {
    fn of(io: &IoMeta) -> Self {
        Self { rows: io.inputs[0].shape.rows(), channels: io.inputs[0].shape.channels() }
    }

    /// Elements of a chunk: whole rows.
    fn chunk(self) -> usize {
        (CHUNK / self.channels).max(1) * self.channels
    }

    /// Two sums for each chunk and channel.
    fn sums(self) -> usize {
        (self.rows * self.channels).div_ceil(self.chunk()) * 2 * self.channels
    }

    /// The sums over all rows of the two numbers that `term(x, other, center of the channel)` gives, left in the first `2·c` elements of `sums`.
    fn sum(
        self,
        (isa, threads): (Isa, Threads),
        x: &[f32],
        other: &[f32],
        center: &[f32],
        sums: &mut [f64],
        term: impl Fn(f64, f64, f64) -> [f64; 2] + Sync,
    ) {
        let c = self.channels;
        threads.for_chunks(sums, 2 * c, |i, sums| {
            let range = i * self.chunk()..x.len().min((i + 1) * self.chunk());
            let (x, other) = (&x[range.clone()], &other[range]);
            isa.vectorize(
                #[inline(always)]
                || {
                    // Plain loops: the closure of an iterator that steps is not inlined, and would miss the vector features.
                    let mut j = 0;
                    while j + WIDE <= c {
                        sum_block::<WIDE>(x, other, center, j, sums, &term);
                        j += WIDE;
                    }
                    while j + BLOCK <= c {
                        sum_block::<BLOCK>(x, other, center, j, sums, &term);
                        j += BLOCK;
                    }
                    for j in j..c {
                        sum_block::<1>(x, other, center, j, sums, &term);
                    }
                },
            );
        });
        let (all, chunks) = sums.split_at_mut(2 * c);
        for chunk in chunks.chunks_exact(2 * c) {
            all.iter_mut().zip(chunk).for_each(|(all, part)| *all += part);
        }
    }
}

/// The sums of `W` channels from channel `j` on.
#[inline(always)]
fn sum_block<const W: usize>(
    x: &[f32],
    other: &[f32],
    center: &[f32],
    j: usize,
    sums: &mut [f64],
    term: &impl Fn(f64, f64, f64) -> [f64; 2],
) {
    let c = center.len();
    let block = |row: &[f32]| -> [f32; W] { *row[j..].first_chunk().expect("a whole block") };
    let center = block(center).map(f64::from);
    let (mut first, mut second) = ([0.0; W], [0.0; W]);
    for (x, other) in x.chunks_exact(c).zip(other.chunks_exact(c)) {
        let (x, other) = (block(x), block(other));
        for k in 0..W {
            let [a, b] = term(x[k].into(), other[k].into(), center[k]);
            first[k] += a;
            second[k] += b;
        }
    }
    sums[j..j + W].copy_from_slice(&first);
    sums[c + j..c + j + W].copy_from_slice(&second);
}

/// `y = f(operands, parameters of the channel)` for whole rows, in the order of memory; in the place of a missing operand stands what y holds.
#[inline(always)]
fn map_rows<const N: usize, const P: usize>(
    y: &mut [f32],
    operands: [Option<&[f32]>; N],
    parameters: [&[f32]; P],
    f: impl Fn([f32; N], [f32; P]) -> f32,
) {
    let c = parameters[0].len();
    for (row, y) in y.chunks_exact_mut(c).enumerate() {
        let operands = operands.map(|x| x.map(|x| &x[row * c..][..c]));
        let mut j = 0;
        while j + BLOCK <= c {
            map_block::<BLOCK, N, P>(y, operands, parameters, j, &f);
            j += BLOCK;
        }
        for j in j..c {
            map_block::<1, N, P>(y, operands, parameters, j, &f);
        }
    }
}

/// `W` channels from channel `j` on: arrays, so that the compiler need not ask whether slices overlap.
#[inline(always)]
fn map_block<const W: usize, const N: usize, const P: usize>(
    y: &mut [f32],
    operands: [Option<&[f32]>; N],
    parameters: [&[f32]; P],
    j: usize,
    f: &impl Fn([f32; N], [f32; P]) -> f32,
) {
    let block = |row: &[f32]| -> [f32; W] { *row[j..].first_chunk().expect("a whole block") };
    let (operands, parameters) = (operands.map(|x| block(x.unwrap_or(y))), parameters.map(block));
    let y: &mut [f32; W] = y[j..].first_chunk_mut().expect("a whole block");
    for k in 0..W {
        y[k] = f(std::array::from_fn(|n| operands[n][k]), std::array::from_fn(|p| parameters[p][k]));
    }
}

pub fn prepare(op: &BatchNorm, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    prepare_norm(op.eps, [0], io, target, |[y]| y)
}

pub fn prepare_fused(op: &BatchNormFused, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    match (op.add, op.relu) {
        (false, false) => unreachable!("the op's shape rule asked for more than a norm"),
        (false, true) => prepare_norm(op.eps, [0], io, target, |[y]| relu(y)),
        (true, false) => prepare_norm(op.eps, [0, 3], io, target, |[y, other]| y + other),
        (true, true) => prepare_norm(op.eps, [0, 3], io, target, |[y, other]| relu(y + other)),
    }
}

/// The norm of input 0, `finish`ed with what else is among the operands, which are numbers of inputs, 0 first.
///
/// One pass gives the statistics, from sums around the first row: that row is one of those summed, so nothing cancels that f64 does not hold.
fn prepare_norm<const N: usize>(
    eps: f64,
    operands: [usize; N],
    io: &IoMeta,
    target: Target,
    finish: impl Fn([f32; N]) -> f32 + Copy + Send + Sync + 'static,
) -> Prepared<Kernel> {
    let (isa, rows) = (target.isa, Rows::of(io));
    let (c, n) = (rows.channels, rows.rows as f64);
    let kernel: Kernel = Box::new(move |io| {
        let (threads, gamma, beta) = (io.threads(), io.input::<f32>(1), io.input::<f32>(2));
        let (y, mean, variance) = (io.output::<f32>(0), io.output::<f32>(1), io.output::<f32>(2));
        let operands = operands.map(|i| io.unless_replaced::<f32>(i));
        let x = operands[0].unwrap_or(y);
        let (sums, vectors) = io.scratch::<f64>().split_at_mut(rows.sums());
        let (rest, scale) = bytemuck::cast_slice_mut::<f64, f32>(vectors).split_at_mut(c);
        let origin = &x[..c];
        rows.sum((isa, threads), x, x, origin, sums, |x, _, origin| [x - origin, (x - origin) * (x - origin)]);
        for j in 0..c {
            let (first, second) = (sums[j], sums[c + j]);
            let exact = f64::from(origin[j]) + first / n;
            let spread = ((second - first * first / n) / n).max(0.0);
            mean[j] = exact as f32;
            // What rounding took from the mean is subtracted apart.
            rest[j] = (exact - f64::from(mean[j])) as f32;
            variance[j] = spread as f32;
            scale[j] = (f64::from(gamma[j]) / (spread + eps).sqrt()) as f32;
        }
        let (mean, rest, scale) = (&*mean, &*rest, &*scale);
        threads.for_chunks(y, rows.chunk(), |i, y| {
            let range = i * rows.chunk()..i * rows.chunk() + y.len();
            let operands = operands.map(|x| x.map(|x| &x[range.clone()]));
            isa.vectorize(
                #[inline(always)]
                || {
                    map_rows(y, operands, [mean, rest, scale, beta], |mut numbers, [mean, rest, scale, beta]| {
                        numbers[0] = ((numbers[0] - mean) - rest) * scale + beta;
                        finish(numbers)
                    });
                },
            );
        });
    });
    let scratch = (rows.sums() + c) * size_of::<f64>();
    in_place(&operands, Prepared { kernel, name: isa.name(), scratch, prologue: None, in_place: None })
}

/// With `r = 1/√(var + ε)`: `dβ = Σdy`, `dγ = r·Σdy·(x − mean)`, `dx = γ·r·(dy − dβ/n − (x − mean)·r·dγ/n)`.
pub fn prepare_grad(op: &BatchNormGrad, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, eps) = (target.isa, Rows::of(io), op.eps);
    let (c, n) = (rows.channels, rows.rows as f64);
    let kernel: Kernel = Box::new(move |io| {
        let (threads, gamma, mean, variance) =
            (io.threads(), io.input::<f32>(1), io.input::<f32>(2), io.input::<f32>(3));
        let operands = [io.unless_replaced::<f32>(0), io.unless_replaced::<f32>(4)];
        let (dx, dgamma, dbeta) = (io.output::<f32>(0), io.output::<f32>(1), io.output::<f32>(2));
        let (sums, vectors) = io.scratch::<f64>().split_at_mut(rows.sums());
        let (scale, vectors) = bytemuck::cast_slice_mut::<f64, f32>(vectors).split_at_mut(c);
        let (shift, slope) = vectors.split_at_mut(c);
        let [x, dy] = operands.map(|x| x.unwrap_or(dx));
        rows.sum((isa, threads), x, dy, mean, sums, |x, dy, mean| [dy, dy * (x - mean)]);
        for j in 0..c {
            let r = 1.0 / (f64::from(variance[j]) + eps).sqrt();
            dbeta[j] = sums[j] as f32;
            dgamma[j] = (r * sums[c + j]) as f32;
            scale[j] = (f64::from(gamma[j]) * r) as f32;
            shift[j] = (sums[j] / n) as f32;
            slope[j] = (r * r * sums[c + j] / n) as f32;
        }
        let (scale, shift, slope) = (&*scale, &*shift, &slope[..c]);
        threads.for_chunks(dx, rows.chunk(), |i, dx| {
            let range = i * rows.chunk()..i * rows.chunk() + dx.len();
            let operands = operands.map(|x| x.map(|x| &x[range.clone()]));
            isa.vectorize(
                #[inline(always)]
                || {
                    map_rows(dx, operands, [mean, scale, shift, slope], |[x, dy], [mean, scale, shift, slope]| {
                        ((dy - shift) - (x - mean) * slope) * scale
                    });
                },
            );
        });
    });
    let scratch = (rows.sums() + 2 * c) * size_of::<f64>();
    in_place(&[4, 0], Prepared { kernel, name: isa.name(), scratch, prologue: None, in_place: None })
}

pub fn prepare_inference(op: &BatchNormInference, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, eps) = (target.isa, Rows::of(io), op.eps);
    let c = rows.channels;
    let kernel: Kernel = Box::new(move |io| {
        let (x, gamma, beta) = (io.unless_replaced::<f32>(0), io.input::<f32>(1), io.input::<f32>(2));
        let (mean, variance) = (io.input::<f32>(3), io.input::<f32>(4));
        let scale = io.scratch::<f32>();
        for j in 0..c {
            scale[j] = (f64::from(gamma[j]) / (f64::from(variance[j]) + eps).sqrt()) as f32;
        }
        let scale = &*scale;
        io.threads().for_chunks(io.output(0), rows.chunk(), |i, y| {
            let x = x.map(|x| &x[i * rows.chunk()..][..y.len()]);
            isa.vectorize(
                #[inline(always)]
                || {
                    map_rows(y, [x], [mean, scale, beta], |[x], [mean, scale, beta]| (x - mean) * scale + beta);
                },
            );
        });
    });
    let scratch = c * size_of::<f32>();
    in_place(&[0], Prepared { kernel, name: isa.name(), scratch, prologue: None, in_place: None })
}

pub fn prepare_update(op: &UpdateStatistics) -> Prepared<Kernel> {
    let momentum = op.momentum;
    // One sample has no unbiased variance; its biased one is 0.
    let unbiased = op.count as f64 / (op.count.max(2) - 1) as f64;
    plain("f64", move |io| {
        let weight = match momentum {
            StatisticsMomentum::Fixed(momentum) => momentum,
            StatisticsMomentum::Cumulative => 1.0 / (io.run().1 + 1) as f64,
        };
        for (i, factor) in [(0, 1.0), (1, unbiased)] {
            for (running, &batch) in io.state::<f32>(i).iter_mut().zip(io.input::<f32>(2 + i)) {
                let old = f64::from(*running);
                *running = (old + weight * (f64::from(batch) * factor - old)) as f32;
            }
        }
    })
}
