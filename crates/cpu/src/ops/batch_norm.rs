//! Batch normalisation over rows `[rows, c]`.
//!
//! Sums go over fixed chunks of rows, in f64, and the chunks are added in order; so they depend neither on threads nor, in f32, on the instruction set.

use std::ops::Range;

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::Meaning;
use binary_nets_graph::ops::{
    BatchNorm, BatchNormFused, BatchNormGrad, BatchNormInference, StatisticsMomentum, UpdateStatistics,
};
use binary_nets_kernels::Isa;

use super::relu::relu;
use super::{elementwise::CHUNK, in_place, plain};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Channels that are handled at once.
const BLOCK: usize = 16;

/// Channels that are summed at once, where there are so many: fewer would read memory in small pieces far apart, and take several times as long.
const WIDE: usize = 64;

/// Rows of numbers, in blocks of channels.
trait Map: Copy + Send + Sync {
    /// Those of a range of elements, whole rows.
    fn part(self, range: Range<usize>) -> Self;

    /// The numbers of channels `j` to `j + W` of the row that starts with element `row`.
    fn block<const W: usize>(self, row: usize, j: usize) -> [f32; W];
}

impl Map for &[f32] {
    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        &self[range]
    }

    #[inline(always)]
    fn block<const W: usize>(self, row: usize, j: usize) -> [f32; W] {
        *self[row + j..].first_chunk().expect("a whole block")
    }
}

/// Integers times the α of their channel, as the convolution that yields them would have made floats of them.
#[derive(Clone, Copy)]
struct Scaled<'a> {
    dots: &'a [i16],
    alpha: &'a [f32],
}

impl Map for Scaled<'_> {
    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        Self { dots: &self.dots[range], ..self }
    }

    #[inline(always)]
    fn block<const W: usize>(self, row: usize, j: usize) -> [f32; W] {
        let dots: &[i16; W] = self.dots[row + j..].first_chunk().expect("a whole block");
        let alpha: &[f32; W] = self.alpha[j..].first_chunk().expect("a whole block");
        let mut x = [0.0; W];
        for k in 0..W {
            x[k] = alpha[k] * f32::from(dots[k]);
        }
        x
    }
}

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

    /// The sums of differences from the first row, `origin`, and of their squares.
    fn sum_around_first(self, by: (Isa, Threads), x: impl Map, origin: &mut [f32], sums: &mut [f64]) {
        origin.iter_mut().enumerate().for_each(|(j, origin)| [*origin] = x.block(0, j));
        self.sum(
            by,
            x,
            x,
            origin,
            sums,
            #[inline(always)]
            |x, _, origin| [x - origin, (x - origin) * (x - origin)],
        );
    }

    /// The sums over all rows of the two numbers that `term(x, other, center of the channel)` gives, left in the first `2·c` elements of `sums`.
    fn sum(
        self,
        (isa, threads): (Isa, Threads),
        x: impl Map,
        other: impl Map,
        center: &[f32],
        sums: &mut [f64],
        term: impl Fn(f64, f64, f64) -> [f64; 2] + Sync,
    ) {
        let c = self.channels;
        threads.for_chunks(sums, 2 * c, |i, sums| {
            let range = i * self.chunk()..(self.rows * c).min((i + 1) * self.chunk());
            let (x, other, len) = (x.part(range.clone()), other.part(range.clone()), range.len());
            isa.vectorize(
                #[inline(always)]
                || {
                    // Plain loops: the closure of an iterator that steps is not inlined, and would miss the vector features.
                    let mut j = 0;
                    while j + WIDE <= c {
                        sum_block::<WIDE>(x, other, len, center, j, sums, &term);
                        j += WIDE;
                    }
                    while j + BLOCK <= c {
                        sum_block::<BLOCK>(x, other, len, center, j, sums, &term);
                        j += BLOCK;
                    }
                    for j in j..c {
                        sum_block::<1>(x, other, len, center, j, sums, &term);
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

/// The sums of `W` channels from channel `j` on, of rows with `len` elements in all.
#[inline(always)]
fn sum_block<const W: usize>(
    x: impl Map,
    other: impl Map,
    len: usize,
    center: &[f32],
    j: usize,
    sums: &mut [f64],
    term: &impl Fn(f64, f64, f64) -> [f64; 2],
) {
    let c = center.len();
    let center = center.block::<W>(0, j).map(f64::from);
    let (mut first, mut second) = ([0.0; W], [0.0; W]);
    let mut row = 0;
    while row < len {
        let (x, other) = (x.block::<W>(row, j), other.block::<W>(row, j));
        for k in 0..W {
            let [a, b] = term(x[k].into(), other[k].into(), center[k]);
            first[k] += a;
            second[k] += b;
        }
        row += c;
    }
    sums[j..j + W].copy_from_slice(&first);
    sums[c + j..c + j + W].copy_from_slice(&second);
}

/// `y = f(x, operands, parameters of the channel)` for whole rows, in the order of memory; in the place of a missing x or operand stands what y holds.
#[inline(always)]
fn map_rows<const N: usize, const P: usize>(
    y: &mut [f32],
    x: Option<impl Map>,
    operands: [Option<&[f32]>; N],
    parameters: [&[f32]; P],
    f: impl Fn(f32, [f32; N], [f32; P]) -> f32,
) {
    let c = parameters[0].len();
    let mut row = 0;
    while row < y.len() {
        let mut j = 0;
        while j + BLOCK <= c {
            map_block::<BLOCK, N, P>(y, x, operands, parameters, [row, j], &f);
            j += BLOCK;
        }
        for j in j..c {
            map_block::<1, N, P>(y, x, operands, parameters, [row, j], &f);
        }
        row += c;
    }
}

/// `W` channels from channel `j` of a row on: arrays, so that the compiler need not ask whether slices overlap.
#[inline(always)]
fn map_block<const W: usize, const N: usize, const P: usize>(
    y: &mut [f32],
    x: Option<impl Map>,
    operands: [Option<&[f32]>; N],
    parameters: [&[f32]; P],
    [row, j]: [usize; 2],
    f: &impl Fn(f32, [f32; N], [f32; P]) -> f32,
) {
    let old = (&*y).block::<W>(row, j);
    let x = x.map_or(old, |x| x.block(row, j));
    let operands = operands.map(|operand| operand.map_or(old, |operand| operand.block(row, j)));
    let parameters = parameters.map(|parameter| parameter.block::<W>(0, j));
    let y: &mut [f32; W] = y[row + j..].first_chunk_mut().expect("a whole block");
    for k in 0..W {
        y[k] = f(x[k], std::array::from_fn(|n| operands[n][k]), std::array::from_fn(|p| parameters[p][k]));
    }
}

/// Writes the α of each channel, of which each given one has as many.
fn spread(alpha: &[f32], channels: &mut [f32]) {
    let each = channels.len() / alpha.len();
    channels.chunks_exact_mut(each).zip(alpha).for_each(|(channels, &alpha)| channels.fill(alpha));
}

/// What is done with rows of floats, whatever they are stored as.
trait Sweep: Send + Sync + 'static {
    /// Runs with `x`, which is missing where the first output replaces it.
    fn run(&self, io: &Io<'_>, x: Option<impl Map>, scratch: &mut [f64]);
}

/// The kernel of a sweep over the rows of input 0: floats or, with their α as the last input, integers. It has `scratch` numbers of memory, and its output may replace one of those inputs.
fn prepare_sweep(
    sweep: impl Sweep,
    io: &IoMeta,
    target: Target,
    scratch: usize,
    mut replaced: Vec<usize>,
) -> Prepared<Kernel> {
    let (alpha, channels) = (io.inputs.len() - 1, Rows::of(io).channels);
    let is_scaled = matches!(io.inputs[0].meaning, Meaning::Int { .. });
    replaced.retain(|&input| input > 0 || !is_scaled);
    let kernel: Kernel = if is_scaled {
        Box::new(move |io| {
            let (scratch, alphas) = io.scratch::<f64>().split_at_mut(scratch);
            let alphas = &mut bytemuck::cast_slice_mut(alphas)[..channels];
            spread(io.input(alpha), alphas);
            sweep.run(io, Some(Scaled { dots: io.input(0), alpha: alphas }), scratch);
        })
    } else {
        Box::new(move |io| sweep.run(io, io.unless_replaced::<f32>(0), io.scratch()))
    };
    let scratch = (scratch + if is_scaled { channels.div_ceil(2) } else { 0 }) * size_of::<f64>();
    in_place(&replaced, Prepared { kernel, name: target.isa.name(), scratch, prologue: None, in_place: None })
}

pub fn prepare(op: &BatchNorm, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    prepare_norm(op.eps, [], io, target, |y, []| y)
}

pub fn prepare_fused(op: &BatchNormFused, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    match (op.add, op.relu) {
        (false, false) => unreachable!("the op's shape rule asked for more than a norm"),
        (false, true) => prepare_norm(op.eps, [], io, target, |y, []| relu(y)),
        (true, false) => prepare_norm(op.eps, [3], io, target, |y, [other]| y + other),
        (true, true) => prepare_norm(op.eps, [3], io, target, |y, [other]| relu(y + other)),
    }
}

/// The norm of input 0, `finish`ed with what else is among the inputs.
fn prepare_norm<const N: usize>(
    eps: f64,
    others: [usize; N],
    io: &IoMeta,
    target: Target,
    finish: impl Fn(f32, [f32; N]) -> f32 + Copy + Send + Sync + 'static,
) -> Prepared<Kernel> {
    let norm = Norm { isa: target.isa, rows: Rows::of(io), eps, others, finish };
    let replaced = [0].into_iter().chain(others).collect();
    prepare_sweep(norm, io, target, norm.rows.sums() + 2 * norm.rows.channels, replaced)
}

/// A norm with what stands behind it.
///
/// One pass gives the statistics, from sums around the first row: that row is one of those summed, so nothing cancels that f64 does not hold.
#[derive(Clone, Copy)]
struct Norm<const N: usize, F> {
    isa: Isa,
    rows: Rows,
    eps: f64,
    others: [usize; N],
    finish: F,
}

impl<const N: usize, F: Fn(f32, [f32; N]) -> f32 + Copy + Send + Sync + 'static> Sweep for Norm<N, F> {
    fn run(&self, io: &Io<'_>, x: Option<impl Map>, scratch: &mut [f64]) {
        let Self { isa, rows, eps, others, finish } = *self;
        let (c, n) = (rows.channels, rows.rows as f64);
        let (threads, gamma, beta) = (io.threads(), io.input::<f32>(1), io.input::<f32>(2));
        let (y, mean, variance) = (io.output::<f32>(0), io.output::<f32>(1), io.output::<f32>(2));
        let others = others.map(|i| io.unless_replaced::<f32>(i));
        let (sums, vectors) = scratch.split_at_mut(rows.sums());
        let (rest, vectors) = bytemuck::cast_slice_mut::<f64, f32>(vectors).split_at_mut(c);
        let (scale, vectors) = vectors.split_at_mut(c);
        let origin = &mut vectors[..c];
        match x {
            Some(x) => rows.sum_around_first((isa, threads), x, origin, sums),
            None => rows.sum_around_first((isa, threads), &*y, origin, sums),
        }
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
            let x = x.map(|x| x.part(range.clone()));
            let others = others.map(|other| other.map(|other| &other[range.clone()]));
            isa.vectorize(
                #[inline(always)]
                || {
                    map_rows(y, x, others, [mean, rest, scale, beta], |x, others, [mean, rest, scale, beta]| {
                        finish(((x - mean) - rest) * scale + beta, others)
                    });
                },
            );
        });
    }
}

pub fn prepare_grad(op: &BatchNormGrad, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let grad = Grad { isa: target.isa, rows: Rows::of(io), eps: op.eps };
    prepare_sweep(grad, io, target, grad.rows.sums() + 2 * grad.rows.channels, vec![4, 0])
}

/// With `r = 1/√(var + ε)`: `dβ = Σdy`, `dγ = r·Σdy·(x − mean)`, `dx = γ·r·(dy − dβ/n − (x − mean)·r·dγ/n)`.
#[derive(Clone, Copy)]
struct Grad {
    isa: Isa,
    rows: Rows,
    eps: f64,
}

impl Sweep for Grad {
    fn run(&self, io: &Io<'_>, x: Option<impl Map>, scratch: &mut [f64]) {
        let Self { isa, rows, eps } = *self;
        let (c, n) = (rows.channels, rows.rows as f64);
        let (threads, gamma, mean, variance) =
            (io.threads(), io.input::<f32>(1), io.input::<f32>(2), io.input::<f32>(3));
        let dy = io.unless_replaced::<f32>(4);
        let (dx, dgamma, dbeta) = (io.output::<f32>(0), io.output::<f32>(1), io.output::<f32>(2));
        let (sums, vectors) = scratch.split_at_mut(rows.sums());
        let (scale, vectors) = bytemuck::cast_slice_mut::<f64, f32>(vectors).split_at_mut(c);
        let (shift, slope) = vectors.split_at_mut(c);
        match x {
            Some(x) => rows.sum((isa, threads), x, dy.unwrap_or(dx), mean, sums, grad_terms),
            None => rows.sum((isa, threads), &*dx, dy.unwrap_or(dx), mean, sums, grad_terms),
        }
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
            let x = x.map(|x| x.part(range.clone()));
            let dy = dy.map(|dy| &dy[range]);
            isa.vectorize(
                #[inline(always)]
                || {
                    map_rows(dx, x, [dy], [mean, scale, shift, slope], |x, [dy], [mean, scale, shift, slope]| {
                        ((dy - shift) - (x - mean) * slope) * scale
                    });
                },
            );
        });
    }
}

/// What is summed for dβ and dγ.
#[inline(always)]
fn grad_terms(x: f64, dy: f64, mean: f64) -> [f64; 2] {
    [dy, dy * (x - mean)]
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
                    map_rows(y, x, [], [mean, scale, beta], |x, [], [mean, scale, beta]| (x - mean) * scale + beta);
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
