//! Convolutions of bytes in a frozen network, in exact integers.

use std::ops::Range;

use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::Meaning;
use binary_nets_graph::ops::{FoldStem, ImageConv2d};
use binary_nets_kernels::image_conv2d::Sum;
use binary_nets_kernels::{self as kernels, Conv2dGeometry, Isa, KernelError};
use bytemuck::Pod;

use super::affine::folded;
use super::binary_conv2d::Strips;
use super::conv2d::extents;
use super::laid::{self, consumed};
use super::plain;
use crate::io::{Io, Kernel};
use crate::target::Target;

pub fn prepare_fold(op: &FoldStem, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let w = extents(io.inputs[0]);
    let (window, input) = (op.border.window, op.border.input);
    let output = window.output(input).expect("the op's shape rule asked for a window that fits");
    let cases = [0, 1].map(|axis| window.border_cases(axis, input[axis], output[axis]).taps);
    let op = op.clone();
    Ok(plain(target.isa.name(), move |io| fold(&op, w, &cases, io)))
}

/// The formulas of [`FoldStem`], in f64.
fn fold(op: &FoldStem, [outputs, channels, kh, kw]: [usize; 4], [rows, columns]: &[Vec<Range<usize>>; 2], io: &Io<'_>) {
    let (w, q, a, c): (&[f32], &mut [i16], &mut [f32], &mut [f32]) =
        (io.input(0), io.output(0), io.output(1), io.output(2));
    let depth = channels * kh * kw;
    for (o, (w, q)) in w.chunks_exact(depth).zip(q.chunks_exact_mut(depth)).enumerate() {
        // `w` is [c, kh, kw] and `q` is [kh, kw, c].
        let v = |i: usize| f64::from(w[i]) / (255.0 * op.std[i / (kh * kw) % op.std.len()]);
        let largest = (0..depth).map(|i| v(i).abs()).fold(0.0, |max, v| if v.is_nan() || v > max { v } else { max });
        let scale = largest / f64::from(op.largest);
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
                    if inside_rows.contains(&(tap / kw)) && inside_columns.contains(&(tap % kw)) {
                        for (q, mean) in q.iter().zip(op.mean.iter().cycle()) {
                            sum += f64::from(*q) * 255.0 * mean;
                        }
                    }
                }
                c[(row * columns.len() + column) * outputs + o] = (b - s * scale * sum) as f32;
            }
        }
    }
}

/// The convolution, with its kernel chosen.
struct Convolution {
    conv: kernels::ImageConv2d,
    strips: Strips,
}

/// The convolution of images with weights `[o, kh, kw, c]`, its first two inputs.
pub fn convolution(op: &ImageConv2d, io: &IoMeta, isa: Isa) -> Result<kernels::ImageConv2d, KernelError> {
    let (x, q, window) = (extents(io.inputs[0]), extents(io.inputs[1]), &op.border.window);
    let largest = if let Meaning::Int { max, .. } = io.inputs[1].meaning { max } else { i64::MAX };
    let geometry = Conv2dGeometry {
        in_size: [x[1], x[2]],
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        groups: 1,
        in_channels: x[3],
        out_channels: q[0],
    };
    kernels::ImageConv2d::new(geometry, i16::try_from(largest).unwrap_or(i16::MAX), isa)
}

pub fn prepare_image_conv2d(op: &ImageConv2d, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let unsupported =
        |e: KernelError| ExecError::Unsupported { op: "image_conv2d", path: io.path.to_owned(), reason: e.to_string() };
    let conv = convolution(op, io, target.isa).map_err(unsupported)?;
    let convolution = Convolution { strips: Strips::new(conv.geometry().out_size(), target.threads), conv };
    Ok(match Layout::interchange(io.outputs[0]).storage {
        Storage::I16 => convolution.prepare::<i16>(target, consumed(io, &[1])),
        Storage::I64 => convolution.prepare::<i64>(target, consumed(io, &[1])),
        _ => convolution.prepare::<i32>(target, consumed(io, &[1])),
    })
}

impl Convolution {
    fn prepare<T: Sum + Pod>(self, target: Target, consumed: Option<Vec<usize>>) -> Prepared<Kernel> {
        let name = self.conv.kernel_name();
        let sizes =
            laid::Sizes { laid: self.conv.laid_weight_len(), scratch: target.threads * self.conv.scratch_len() };
        laid::prepare(name, consumed, sizes, self, |c, io, laid| c.conv.lay_weights(io.input(1), laid), Self::run::<T>)
    }

    fn run<T: Sum + Pod>(&self, io: &Io<'_>, laid: &[i16], lanes: &mut [i16]) {
        let (images, out): (&[u8], &mut [T]) = (io.input(0), io.output(0));
        let g = self.conv.geometry();
        let image_len = g.in_size[0] * g.in_size[1] * g.in_channels;
        let chunk_len = self.strips.pixels() * g.out_channels;
        io.threads().for_chunks_with(out, chunk_len, lanes, self.conv.scratch_len(), |i, out, scratch| {
            let (image, rows) = self.strips.place(i);
            self.conv.rows(&images[image * image_len..][..image_len], laid, rows, scratch, out);
        });
    }
}
