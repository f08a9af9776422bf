//! What freezing makes of a run of constants: one affine per channel.

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{Affine, Border, FoldAffine, FoldStep};
use binary_nets_kernels::Isa;
use bytemuck::Pod;

use super::elementwise::{CHUNK, block, blocks};
use super::plain;
use super::relu::relu;
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
        isa.vectorize(
            #[inline(always)]
            || bordered_rows(y, x, a, c, (starts, i * pixels), Finish::Plain),
        );
    });
}

/// What becomes of an affine's numbers.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// Nothing.
    Plain,
    /// They are rectified.
    Relu,
    /// Numbers of the same extents are added, and the sum is perhaps rectified.
    Add(&'a [f32], bool),
    /// The same with the numbers that they replace.
    AddOld(bool),
}

/// `fl(fl(a·fl(x)) + c)` of rows of one number a channel, and what finishes them.
#[inline(always)]
pub fn rows<X: Number>(y: &mut [f32], x: &[X], a: &[f32], c: &[f32], finish: Finish<'_>) {
    // Each as vector code of its own.
    match finish {
        Finish::Plain => all_columns(y, x, a, c, None, |v, _| v),
        Finish::Relu => all_columns(y, x, a, c, None, |v, _| relu(v)),
        Finish::Add(b, false) => all_columns(y, x, a, c, Some(b), |v, b| v + b),
        Finish::Add(b, true) => all_columns(y, x, a, c, Some(b), |v, b| relu(v + b)),
        Finish::AddOld(false) => all_columns(y, x, a, c, None, |v, old| v + old),
        Finish::AddOld(true) => all_columns(y, x, a, c, None, |v, old| relu(v + old)),
    }
}

/// The same where each pixel has the c of its border case, as [`case_starts`] says; `first` is the number of the first pixel.
#[inline(always)]
pub fn bordered_rows<X: Number>(
    y: &mut [f32],
    x: &[X],
    a: &[f32],
    c: &[f32],
    (starts, first): (&[usize], usize),
    finish: Finish<'_>,
) {
    let (channels, mut pixel) = (a.len(), 0);
    let pixels = y.len() / channels;
    while pixel < pixels {
        let case = &starts[(first + pixel) % starts.len()..];
        let run = if starts.len() == 1 { pixels } else { case.iter().take_while(|start| **start == case[0]).count() };
        let end = pixels.min(pixel + run);
        let part = pixel * channels..end * channels;
        let finish = match finish {
            Finish::Add(b, relu) => Finish::Add(&b[part.clone()], relu),
            finish => finish,
        };
        rows(&mut y[part.clone()], &x[part], a, &c[case[0]..][..channels], finish);
        pixel = end;
    }
}

/// `y = f(fl(fl(a·fl(x)) + c), b)`, where b is y itself if it is not given.
#[inline(always)]
fn all_columns<X: Number>(
    y: &mut [f32],
    x: &[X],
    a: &[f32],
    c: &[f32],
    b: Option<&[f32]>,
    f: impl Fn(f32, f32) -> f32,
) {
    let channel = columns::<64, X>(0, y, x, a, c, b, &f);
    let channel = columns::<16, X>(channel, y, x, a, c, b, &f);
    columns::<1, X>(channel, y, x, a, c, b, &f);
}

/// The same in as many channels from `first` on as are a multiple of `N`; the channel behind them. The constants of `N` channels stay in registers.
#[inline(always)]
fn columns<const N: usize, X: Number>(
    first: usize,
    y: &mut [f32],
    x: &[X],
    a: &[f32],
    c: &[f32],
    b: Option<&[f32]>,
    f: impl Fn(f32, f32) -> f32,
) -> usize {
    let channels = a.len();
    let end = channels - (channels - first) % N;
    for channel in (first..end).step_by(N) {
        let [a, c]: [[f32; N]; 2] = [a, c].map(|all| *chunk(all, channel));
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let at = pixel * channels + channel;
            let x: &[X; N] = chunk(x, at);
            let y = y[channel..].first_chunk_mut().expect("N channels");
            let b = *b.map_or(&*y, |b| chunk(b, at));
            let mut block = [0.0; N];
            for (i, y) in block.iter_mut().enumerate() {
                *y = f(a[i] * x[i].rounded() + c[i], b[i]);
            }
            *y = block;
        }
    }
    end
}

/// `N` numbers from a place on.
#[inline(always)]
fn chunk<const N: usize, T>(all: &[T], at: usize) -> &[T; N] {
    all[at..].first_chunk().expect("N numbers")
}

/// The same of floats, in place.
#[inline(always)]
pub fn row_in_place(y: &mut [f32], a: &[f32], c: &[f32], f: impl Fn(f32) -> f32) {
    let ((y, y_rest), (a, a_rest), (c, c_rest)) = (y.as_chunks_mut(), blocks(a), blocks(c));
    for ((y, a), c) in y.iter_mut().zip(a).zip(c) {
        *y = block(|i| f(a[i] * y[i] + c[i]));
    }
    for ((y, a), c) in y_rest.iter_mut().zip(a_rest).zip(c_rest) {
        *y = f(a * *y + c);
    }
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
    let ((y, y_rest), (c, c_rest)) = (y.as_chunks_mut(), blocks(c));
    let [(d_p, p_rest), (d_n, n_rest)] = [positive, negative].map(blocks);
    let [(a_p, a_p_rest), (a_n, a_n_rest)] = [a_p, a_n].map(blocks);
    for ((y, (d_p, d_n)), ((a_p, a_n), c)) in y.iter_mut().zip(d_p.iter().zip(d_n)).zip(a_p.iter().zip(a_n).zip(c)) {
        *y = block(|i| f(a_p[i] * d_p[i].rounded() - a_n[i] * d_n[i].rounded() + c[i]));
    }
    let (sums, constants) = (p_rest.iter().zip(n_rest), a_p_rest.iter().zip(a_n_rest).zip(c_rest));
    for ((y, (d_p, d_n)), ((a_p, a_n), c)) in y_rest.iter_mut().zip(sums).zip(constants) {
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
