//! What freezing makes of a run of constants: one affine per channel.

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{Affine, Border, FoldAffine};
use binary_nets_kernels::Isa;
use bytemuck::Pod;

use super::{elementwise::CHUNK, plain};
use crate::io::{Io, Kernel};
use crate::target::Target;

/// A number that an affine reads, rounded to f32.
trait Number: Pod + Send + Sync {
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
fn case_starts(border: Border, output: [usize; 2], channels: usize) -> Vec<usize> {
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
                    let c = &c[start..][..channels];
                    y.iter_mut().zip(x).zip(a).zip(c).for_each(|(((y, &x), &a), &c)| *y = a * x.rounded() + c);
                }
            },
        );
    });
}

pub fn prepare_fold(op: &FoldAffine) -> Prepared<Kernel> {
    let FoldAffine { channels, scale, eps } = *op;
    plain("f64", move |io| {
        let (a, c) = (io.output::<f32>(0), io.output::<f32>(1));
        let norm = usize::from(scale);
        let at = |i: usize, o: usize| f64::from(io.input::<f32>(i)[o]);
        for o in 0..channels {
            let alpha = if scale {
                let alpha = io.input::<f32>(0);
                f64::from(alpha[o * alpha.len() / channels])
            } else {
                1.0
            };
            let (slope, offset) = match eps {
                Some(eps) => {
                    let root = (at(norm + 3, o) + eps).sqrt();
                    (at(norm, o) * alpha / root, at(norm + 1, o) - at(norm, o) * at(norm + 2, o) / root)
                }
                None => (alpha, 0.0),
            };
            a[o] = slope as f32;
            c[o] = offset as f32;
        }
    })
}
