//! The first convolution of a frozen network, in exact integers.

use std::ops::{Add, Mul};
use std::slice::from_ref;

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{FoldStem, ImageConv2d};
use binary_nets_kernels::{Gemm, Isa, Matrix};
use bytemuck::Pod;

use super::affine::folded;
use super::conv2d::extents;
use super::laid;
use super::patches::{Axis, Frame, Patches};
use super::plain;
use crate::io::{Io, Kernel};
use crate::target::Target;

/// Pixels gathered at a time, and a chunk of work.
const BLOCK: usize = 96;

/// Products of a partial sum: each is at most 255 · 128, so f32 holds sums of so many exactly.
const DEPTH: usize = 512;

pub fn prepare_fold(op: &FoldStem, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let w = extents(io.inputs[0]);
    let (window, input) = (op.border.window, op.border.input);
    let output = window.output(input).expect("the op's shape rule asked for a window that fits");
    let cases = [0, 1].map(|axis| window.border_cases(axis, input[axis], output[axis]).taps);
    let op = op.clone();
    Ok(plain(target.isa.name(), move |io| fold(&op, w, &cases, io)))
}

/// The formulas of [`FoldStem`], in f64.
fn fold(op: &FoldStem, [outputs, channels, kh, kw]: [usize; 4], [rows, columns]: &[Vec<Vec<bool>>; 2], io: &Io<'_>) {
    let (w, q, a, c): (&[f32], &mut [i16], &mut [f32], &mut [f32]) =
        (io.input(0), io.output(0), io.output(1), io.output(2));
    let depth = channels * kh * kw;
    for (o, (w, q)) in w.chunks_exact(depth).zip(q.chunks_exact_mut(depth)).enumerate() {
        // `w` is [c, kh, kw] and `q` is [kh, kw, c].
        let v = |i: usize| f64::from(w[i]) / (255.0 * op.std[i / (kh * kw)]);
        let scale = (0..depth).fold(0.0, |max: f64, i| max.max(v(i).abs())) / 32767.0;
        for (i, q) in q.iter_mut().enumerate() {
            let v = v(i % channels * kh * kw + i / channels);
            *q = if scale == 0.0 { 0 } else { (v / scale).round_ties_even() as i16 };
        }
        let (s, b) = folded(&op.steps, io, 1, o, outputs);
        a[o] = (s * scale) as f32;
        for (row, inside_rows) in rows.iter().enumerate() {
            for (column, inside_columns) in columns.iter().enumerate() {
                let mut sum = 0.0;
                for (tap, q) in q.chunks_exact(channels).enumerate() {
                    if inside_rows[tap / kw] && inside_columns[tap % kw] {
                        for (q, mean) in q.iter().zip(&op.mean) {
                            sum += f64::from(*q) * 255.0 * mean;
                        }
                    }
                }
                c[(row * columns.len() + column) * outputs + o] = (b - s * scale * sum) as f32;
            }
        }
    }
}

/// An exact convolution of pixels, by f32 products that never round.
///
/// 1. `q = 256·high + low` with both in `-128..=128`.
/// 2. A product of a pixel and a half is an integer of at most 255 · 128, and a sum of 512 of them is below 2²⁴: f32 is exact.
/// 3. The integer `256·Σ(x·high) + Σ(x·low)` is put together from such sums.
struct Convolution {
    isa: Isa,
    gemm: Gemm,
    images: usize,
    /// Elements of an image and of a row of it.
    lens: [usize; 2],
    frame: Frame,
    patches: Patches,
    outputs: usize,
}

pub fn prepare_image_conv2d(op: &ImageConv2d, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let ([images, height, width, channels], y) = (extents(io.inputs[0]), extents(io.outputs[0]));
    let [rows, columns] = [0, 1].map(|axis| Axis::forward(&op.border.window, axis, y[axis + 1]));
    let frame = Frame::new([height, width], channels, [from_ref(&rows), from_ref(&columns)]);
    let convolution = Convolution {
        isa: target.isa,
        gemm: Gemm::new(target.isa),
        images,
        lens: [height * width * channels, width * channels],
        patches: Patches::rows(&frame, [&rows, &columns], 1),
        frame,
        outputs: y[3],
    };
    Ok(match Layout::interchange(io.outputs[0]).storage {
        Storage::I64 => convolution.prepare::<i64>(target, io.constant[1]),
        _ => convolution.prepare::<i32>(target, io.constant[1]),
    })
}

impl Convolution {
    fn prepare<T: Sum>(self, target: Target, constant: bool) -> Prepared<Kernel> {
        let name = self.gemm.kernel_name();
        let laid = self.gemm.packed_b_len(self.patches.depth(), 2 * self.outputs);
        let scratch = self.images * self.frame.len() + target.threads * self.lane_len();
        let lay = |convolution: &Self, io: &Io<'_>, panels: &mut [f32]| convolution.lay(io.input(1), panels);
        laid::prepare(name, constant, laid::Sizes { laid, scratch }, self, lay, Self::run::<T>)
    }

    /// Scratch elements of a lane: patches, sums.
    fn lane_len(&self) -> usize {
        self.patches.len(BLOCK) + BLOCK * 2 * self.outputs
    }

    /// Lays q `[o, taps · c]` as panels of `[DEPTH products, 2 · o]`: the high halves, then the low ones.
    fn lay(&self, q: &[i16], laid: &mut [f32]) {
        let (depth, columns) = (self.patches.depth(), 2 * self.outputs);
        let width = self.gemm.packed_b_len(1, 1);
        for (block, laid) in laid.chunks_mut(self.gemm.packed_b_len(DEPTH, columns)).enumerate() {
            let first = block * DEPTH;
            let products = DEPTH.min(depth - first);
            for (panel, laid) in laid.chunks_exact_mut(products * width).enumerate() {
                for (k, row) in (first..).zip(laid.chunks_exact_mut(width)) {
                    for (column, w) in (panel * width..).zip(row) {
                        let q = |output: usize| i32::from(q[output * depth + k]);
                        let high = |q: i32| (q + 128) >> 8;
                        *w = match column {
                            _ if column < self.outputs => high(q(column)) as f32,
                            _ if column < columns => {
                                let q = q(column - self.outputs);
                                (q - 256 * high(q)) as f32
                            }
                            _ => 0.0,
                        };
                    }
                }
            }
        }
    }

    fn run<T: Sum>(&self, io: &Io<'_>, laid: &[f32], scratch: &mut [f32]) {
        let (image, out): (&[u8], &mut [T]) = (io.input(0), io.output(0));
        let [image_len, row_len] = self.lens;
        let (frames, lanes) = scratch.split_at_mut(self.images * self.frame.len());
        io.threads().for_chunks(frames, self.frame.len(), |i, framed| {
            let image = &image[i * image_len..][..image_len];
            self.frame.place(0.0, framed, |y, row| {
                for (to, &from) in row.iter_mut().zip(&image[y * row_len..]) {
                    *to = f32::from(from);
                }
            });
        });
        let (frames, depth, columns) = (&*frames, self.patches.depth(), 2 * self.outputs);
        io.threads().for_chunks_with(out, BLOCK * self.outputs, lanes, self.lane_len(), |i, out, scratch| {
            let pixels = out.len() / self.outputs;
            let (patches, sums) = scratch.split_at_mut(self.patches.len(BLOCK));
            self.patches.gather(self.isa, frames, 0, i * BLOCK..i * BLOCK + pixels, patches);
            let blocks = laid.chunks(self.gemm.packed_b_len(DEPTH, columns));
            for (first, panels) in (0..depth).step_by(DEPTH).zip(blocks) {
                let a = Matrix { data: &patches[first..], row_stride: depth, column_stride: 1 };
                let size = (pixels, columns, DEPTH.min(depth - first));
                self.gemm.run(size, a, panels, sums, columns, false);
                self.isa.vectorize(
                    #[inline(always)]
                    || join(out, sums, self.outputs, first > 0),
                );
            }
        });
    }
}

/// An integer that holds the whole sum.
trait Sum: Pod + From<i32> + Add<Output = Self> + Mul<Output = Self> + Send {}

impl Sum for i32 {}
impl Sum for i64 {}

/// `256·high + low` of sums `[pixels, 2 · o]`, added to `out` where `accumulate`.
#[inline(always)]
fn join<T: Sum>(out: &mut [T], sums: &[f32], outputs: usize, accumulate: bool) {
    for (out, sums) in out.chunks_exact_mut(outputs).zip(sums.chunks_exact(2 * outputs)) {
        let (high, low) = sums.split_at(outputs);
        for ((out, &high), &low) in out.iter_mut().zip(high).zip(low) {
            let sum = T::from(high as i32) * T::from(256) + T::from(low as i32);
            *out = if accumulate { *out + sum } else { sum };
        }
    }
}
