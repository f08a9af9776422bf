//! The first convolution of a frozen network, in exact integers.

use std::ops::AddAssign;

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Prologue, Storage};
use binary_nets_graph::ops::{FoldStem, ImageConv2d};
use binary_nets_kernels::Isa;
use bytemuck::Pod;

use super::conv2d::extents;
use super::patches::{Axis, Frame, Patches};
use super::plain;
use crate::cpu::Cpu;
use crate::io::{Io, Kernel};

/// Output channels of a tile.
const LANES: usize = 16;
/// Pixels of a tile.
const TILE: usize = 4;
/// Pixels gathered at a time, and a chunk of work.
const BLOCK: usize = 64;

pub fn prepare_fold(op: &FoldStem, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    let w = extents(io.inputs[0]);
    let (window, input) = (op.border.window, op.border.input);
    let output = window.output(input).expect("the op's shape rule asked for a window that fits");
    let cases = [0, 1].map(|axis| window.border_cases(axis, input[axis], output[axis]).taps);
    let op = op.clone();
    Ok(plain(cpu.isa().name(), move |io| fold(&op, w, &cases, io)))
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
        let (s, b) = match op.eps {
            None => (1.0, 0.0),
            Some(eps) => {
                let [gamma, beta, mean, var] = [1, 2, 3, 4].map(|i| f64::from(io.input::<f32>(i)[o]));
                let s = gamma / (var + eps).sqrt();
                (s, beta - s * mean)
            }
        };
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

/// An exact convolution of pixels.
struct Convolution {
    isa: Isa,
    images: usize,
    image_len: usize,
    row_len: usize,
    frame: Frame,
    patches: Patches,
    outputs: usize,
}

pub fn prepare_image_conv2d(op: &ImageConv2d, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    let ([images, height, width, channels], y) = (extents(io.inputs[0]), extents(io.outputs[0]));
    let [rows, columns] = [0, 1].map(|axis| Axis::forward(&op.border.window, axis, y[axis + 1]));
    let frame = Frame::new([height, width], channels, [&[rows.clone()], &[columns.clone()]]);
    let patches = Patches::rows(&frame, [&rows, &columns], 1);
    let convolution = Convolution {
        isa: cpu.isa(),
        images,
        image_len: height * width * channels,
        row_len: width * channels,
        frame,
        patches,
        outputs: y[3],
    };
    Ok(match Layout::interchange(io.outputs[0]).storage {
        Storage::I64 => convolution.prepare::<i64>(cpu, io.constant[1]),
        _ => convolution.prepare::<i32>(cpu, io.constant[1]),
    })
}

impl Convolution {
    fn prepare<T: Sum>(self, cpu: &Cpu, constant: bool) -> Prepared<Kernel> {
        let name = cpu.isa().name();
        let bytes = |elements: usize| elements * size_of::<i32>();
        let laid = self.outputs.div_ceil(LANES) * self.patches.depth() * LANES;
        let scratch = self.images * self.frame.len() + cpu.threads() * self.lane_len();
        let convolution = std::sync::Arc::new(self);
        if constant {
            let prologue = std::sync::Arc::clone(&convolution);
            let prologue: Kernel = Box::new(move |io| prologue.lay(io.input(1), io.resident_mut()));
            let kernel: Kernel = Box::new(move |io| convolution.run::<T>(io, io.resident(), io.scratch()));
            let prologue = Prologue { kernel: prologue, bytes: bytes(laid) };
            Prepared { kernel, name, scratch: bytes(scratch), prologue: Some(prologue) }
        } else {
            let kernel: Kernel = Box::new(move |io| {
                let (panels, scratch) = io.scratch().split_at_mut(laid);
                convolution.lay(io.input(1), panels);
                convolution.run::<T>(io, panels, scratch);
            });
            Prepared { kernel, name, scratch: bytes(laid + scratch), prologue: None }
        }
    }

    /// Scratch elements of a lane: patches.
    fn lane_len(&self) -> usize {
        self.patches.len(BLOCK)
    }

    /// Lays q `[o, taps · c]` as `[blocks of outputs, taps · c, outputs of a block]`.
    fn lay(&self, q: &[i16], laid: &mut [i32]) {
        let depth = self.patches.depth();
        for (block, laid) in laid.chunks_exact_mut(depth * LANES).enumerate() {
            for (k, laid) in laid.chunks_exact_mut(LANES).enumerate() {
                for (lane, laid) in laid.iter_mut().enumerate() {
                    let output = block * LANES + lane;
                    *laid = if output < self.outputs { q[output * depth + k].into() } else { 0 };
                }
            }
        }
    }

    fn run<T: Sum>(&self, io: &Io<'_>, laid: &[i32], scratch: &mut [i32]) {
        let (image, out): (&[u8], &mut [T]) = (io.input(0), io.output(0));
        let (frames, lanes) = scratch.split_at_mut(self.images * self.frame.len());
        io.threads().for_chunks(frames, self.frame.len(), |i, framed| {
            let image = &image[i * self.image_len..][..self.image_len];
            self.frame.place(0, framed, |y, row| {
                for (to, &from) in row.iter_mut().zip(&image[y * self.row_len..]) {
                    *to = from.into();
                }
            });
        });
        let (frames, depth) = (&*frames, self.patches.depth());
        io.threads().for_chunks_with(out, BLOCK * self.outputs, lanes, self.lane_len(), |i, out, patches| {
            let pixels = i * BLOCK..i * BLOCK + out.len() / self.outputs;
            self.patches.gather(self.isa, frames, 0, pixels, patches);
            self.isa.vectorize(
                #[inline(always)]
                || {
                    for (block, laid) in laid.chunks_exact(depth * LANES).enumerate() {
                        let first = block * LANES;
                        let patches = patches.chunks(TILE * depth);
                        for (patches, out) in patches.zip(out.chunks_mut(TILE * self.outputs)) {
                            if out.len() == TILE * self.outputs {
                                tile::<T, TILE>(patches, laid, out, self.outputs, first);
                            } else {
                                let rows = out.chunks_exact_mut(self.outputs);
                                for (patch, out) in patches.chunks_exact(depth).zip(rows) {
                                    tile::<T, 1>(patch, laid, out, self.outputs, first);
                                }
                            }
                        }
                    }
                },
            );
        });
    }
}

/// An integer that sums products.
trait Sum: Pod + Default + From<i32> + AddAssign + Send {}

impl Sum for i32 {}
impl Sum for i64 {}

/// Output channels from `first` on, of `P` pixels.
#[inline(always)]
fn tile<T: Sum, const P: usize>(patches: &[i32], laid: &[i32], out: &mut [T], outputs: usize, first: usize) {
    let depth = laid.len() / LANES;
    let mut sums = [[T::default(); LANES]; P];
    let mut rows = [&patches[..0]; P];
    for (row, patch) in rows.iter_mut().zip(patches.chunks_exact(depth)) {
        *row = patch;
    }
    for (k, w) in (0..depth).zip(laid.chunks_exact(LANES)) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            // A product is at most 255 · 32767.
            let x = row[k];
            for (sum, &w) in sums.iter_mut().zip(w) {
                *sum += T::from(x * w);
            }
        }
    }
    let valid = LANES.min(outputs - first);
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(outputs)) {
        out[first..first + valid].copy_from_slice(&sums[..valid]);
    }
}
