//! What freezing makes of a run of constants: one affine per channel.

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{Affine, Border, FoldAffine, FoldStep};
use binary_nets_kernels::Isa;
use bytemuck::Pod;

use super::{elementwise::CHUNK, plain};
use crate::io::{Io, Kernel};
use crate::target::Target;

/// A number that an affine reads.
pub trait Number: Pod + Send + Sync {
    /// Rounded to f32.
    fn rounded(self) -> f32;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(impl Number for $number {
        #[inline(always)]
        #[allow(clippy::cast_lossless, reason = "one line for all types")]
        fn rounded(self) -> f32 {
            self as f32
        }
    })* };
}

numbers!(u8 i16 i32 i64 f32);

pub fn prepare(op: &Affine, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let x = io.inputs[0];
    let (isa, channels) = (target.isa, x.shape.channels());
    let starts = match op.border {
        None => vec![0],
        Some(border) => case_starts(border, x.shape[1..3].try_into().unwrap_or_default(), channels),
    };
    Ok(match Layout::interchange(x).storage {
        Storage::U8 => plain(isa.name(), move |io| run::<u8>(isa, io, channels, &starts)),
        Storage::I16 => plain(isa.name(), move |io| run::<i16>(isa, io, channels, &starts)),
        Storage::I32 => plain(isa.name(), move |io| run::<i32>(isa, io, channels, &starts)),
        Storage::I64 => plain(isa.name(), move |io| run::<i64>(isa, io, channels, &starts)),
        Storage::F32 => plain(isa.name(), move |io| run::<f32>(isa, io, channels, &starts)),
        Storage::U64 | Storage::U32 => {
            let reason = format!("x is {x}");
            return Err(ExecError::Unsupported { op: "affine", path: io.path.to_owned(), reason });
        }
    })
}

/// Where the c of each pixel's border case starts.
pub fn case_starts(border: Border, output: [usize; 2], channels: usize) -> Vec<usize> {
    let [rows, columns] = [0, 1].map(|axis| border.window.border_cases(axis, border.input[axis], output[axis]));
    let start = |row: usize, column: usize| (row * columns.taps.len() + column) * channels;
    rows.of_output.iter().flat_map(|&row| columns.of_output.iter().map(move |&column| start(row, column))).collect()
}

/// Pixel `i` takes the c that starts at `starts[i % starts.len()]`.
fn run<X: Number>(isa: Isa, io: &Io<'_>, channels: usize, starts: &[usize]) {
    let (x, a, c) = (io.input::<X>(0), io.input::<f32>(1), io.input::<f32>(2));
    let pixels = (CHUNK / channels).max(1);
    io.threads().for_chunks(io.output::<f32>(0), pixels * channels, |i, y| {
        let x = &x[i * pixels * channels..][..y.len()];
        let starts = starts.iter().cycle().skip(i * pixels % starts.len());
        isa.vectorize(
            #[inline(always)]
            || {
                for ((y, x), &start) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(starts) {
                    row(y, x, a, &c[start..][..channels], |y| y);
                }
            },
        );
    });
}

/// `f(fl(fl(a·fl(x)) + c))` of one number a channel.
#[inline(always)]
pub fn row<X: Number>(y: &mut [f32], x: &[X], a: &[f32], c: &[f32], f: impl Fn(f32) -> f32) {
    y.iter_mut().zip(x).zip(a).zip(c).for_each(|(((y, &x), &a), &c)| *y = f(a * x.rounded() + c));
}

/// The same of floats, in place.
#[inline(always)]
pub fn row_in_place(y: &mut [f32], a: &[f32], c: &[f32], f: impl Fn(f32) -> f32) {
    y.iter_mut().zip(a).zip(c).for_each(|((y, &a), &c)| *y = f(a * *y + c));
}

pub fn prepare_ternary(io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let d = io.inputs[0];
    let (isa, channels) = (target.isa, d.shape.channels());
    Ok(match Layout::interchange(d).storage {
        Storage::U8 => plain(isa.name(), move |io| run_ternary::<u8>(isa, io, channels)),
        Storage::I16 => plain(isa.name(), move |io| run_ternary::<i16>(isa, io, channels)),
        Storage::I32 => plain(isa.name(), move |io| run_ternary::<i32>(isa, io, channels)),
        Storage::I64 => plain(isa.name(), move |io| run_ternary::<i64>(isa, io, channels)),
        Storage::F32 | Storage::U64 | Storage::U32 => {
            let reason = format!("the sums are {d}");
            return Err(ExecError::Unsupported { op: "ternary_affine", path: io.path.to_owned(), reason });
        }
    })
}

fn run_ternary<D: Number>(isa: Isa, io: &Io<'_>, channels: usize) {
    let (positive, negative) = (io.input::<D>(0), io.input::<D>(1));
    let [a_p, a_n, c] = [2, 3, 4].map(|i| io.input::<f32>(i));
    let pixels = (CHUNK / channels).max(1);
    io.threads().for_chunks(io.output::<f32>(0), pixels * channels, |i, y| {
        let [positive, negative] = [positive, negative].map(|d| &d[i * pixels * channels..][..y.len()]);
        let sums = positive.chunks_exact(channels).zip(negative.chunks_exact(channels));
        isa.vectorize(
            #[inline(always)]
            || {
                for (y, (positive, negative)) in y.chunks_exact_mut(channels).zip(sums) {
                    ternary_row(y, [positive, negative], [a_p, a_n, c], |y| y);
                }
            },
        );
    });
}

/// `f(fl(fl(fl(a_p·fl(d_p)) − fl(a_n·fl(d_n))) + c))` of two sums a channel.
#[inline(always)]
pub fn ternary_row<D: Number>(
    y: &mut [f32],
    [positive, negative]: [&[D]; 2],
    [a_p, a_n, c]: [&[f32]; 3],
    f: impl Fn(f32) -> f32,
) {
    let constants = a_p.iter().zip(a_n).zip(c);
    let sums = positive.iter().zip(negative);
    for ((y, (d_p, d_n)), ((a_p, a_n), c)) in y.iter_mut().zip(sums).zip(constants) {
        *y = f(a_p * d_p.rounded() - a_n * d_n.rounded() + c);
    }
}

pub fn prepare_fold(op: &FoldAffine) -> Prepared<Kernel> {
    let FoldAffine { channels, steps } = op.clone();
    plain("f64", move |io| {
        let (a, c) = (io.output::<f32>(0), io.output::<f32>(1));
        for o in 0..channels {
            let (slope, offset) = folded(&steps, io, 0, o, channels);
            a[o] = slope as f32;
            c[o] = offset as f32;
        }
    })
}

/// What these steps, whose inputs start at `first`, make of a number in channel `o` of `channels`: `slope·x + offset`.
pub fn folded(steps: &[FoldStep], io: &Io<'_>, first: usize, o: usize, channels: usize) -> (f64, f64) {
    let (mut slope, mut offset, mut input) = (1.0, 0.0, first);
    for step in steps {
        match step {
            FoldStep::Scale => {
                let scales = io.input::<f32>(input);
                let scale = f64::from(scales[o * scales.len() / channels]);
                (slope, offset) = (slope * scale, offset * scale);
            }
            FoldStep::Norm { eps } => {
                let [gamma, beta, mean, var] = [0, 1, 2, 3].map(|i| f64::from(io.input::<f32>(input + i)[o]));
                let root = (var + eps).sqrt();
                (slope, offset) = (gamma * slope / root, gamma * (offset - mean) / root + beta);
            }
        }
        input += step.inputs();
    }
    (slope, offset)
}
