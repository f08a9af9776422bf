//! The binary convolution: dot products of bits; its gradients are products of floats and bits.

use std::ops::Range;

use binary_nets_bits::Codes;
use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight};
use binary_nets_graph::{Meaning, ValueMeta, Window};
use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::{self as kernels, Conv2dGeometry, Isa, KernelError};
use bytemuck::Pod;

use super::binary_grad_input::BinaryGradInput;
use super::binary_grad_weight::BinaryGradWeight;
use super::conv2d::extents;
use super::gradient_lines::Term;
use super::laid::{self, consumed};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Output pixels of one chunk, at most, unless a row has more: so that a single image keeps several threads busy.
const CHUNK: usize = 256;

/// Pixels that are worth reading all weights for.
const LEAST: usize = 64;

/// The output rows of a convolution in chunks; none crosses images.
pub struct Strips {
    /// Rows of one chunk; a divisor of all.
    rows: usize,
    out_size: [usize; 2],
}

impl Strips {
    /// Chunks of an output of that size, as many as threads where each then has enough to do. Sums do not depend on them.
    pub fn new([height, width]: [usize; 2], threads: usize) -> Self {
        let fits = |rows: &usize| height % rows == 0 && rows * width <= CHUNK;
        let each = (1..=height / threads).rev().find(|rows| fits(rows) && rows * width >= LEAST);
        let rows = each.or_else(|| (1..=height).rev().find(fits)).unwrap_or(1);
        Self { rows, out_size: [height, width] }
    }

    /// Pixels of one chunk.
    pub fn pixels(&self) -> usize {
        self.rows * self.out_size[1]
    }

    /// The image and the rows of chunk `i`.
    pub fn place(&self, i: usize) -> (usize, Range<usize>) {
        let chunks = self.out_size[0] / self.rows;
        let first = i % chunks * self.rows;
        (i / chunks, first..first + self.rows)
    }
}

/// The geometry of a convolution of codes with weights `[o, kh, kw, c/groups]`, its first two inputs.
pub fn geometry(window: &Window, io: &IoMeta) -> Conv2dGeometry {
    let (x, w) = (extents(io.inputs[0]), extents(io.inputs[1]));
    let (_, groups) = packing(io.inputs[0]);
    Conv2dGeometry {
        in_size: [x[1], x[2]],
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        groups,
        in_channels: w[3],
        out_channels: w[0] / groups,
    }
}

/// The forward convolution.
struct Forward {
    isa: Isa,
    conv: kernels::BinaryConv2d,
    strips: Strips,
}

pub fn prepare(op: &BinaryConv2d, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let (codes, _) = packing(io.inputs[0]);
    let unsupported = |e: KernelError| ExecError::Unsupported {
        op: "binary_conv2d",
        path: io.path.to_owned(),
        reason: e.to_string(),
    };
    let conv = kernels::BinaryConv2d::new(geometry(&op.window, io), codes, op.pad_value, target.isa);
    let conv = conv.map_err(unsupported)?;
    let forward = Forward { isa: target.isa, strips: Strips::new(conv.geometry().out_size(), target.threads), conv };
    let consumed = consumed(io, &[1]);
    Ok(match (io.inputs.len(), Layout::interchange(io.outputs[0]).storage) {
        (2, Storage::I16) => forward.prepare(target, consumed, Forward::dots::<i16>, 0),
        (2, _) => forward.prepare(target, consumed, Forward::dots::<i32>, 0),
        (_, _) if forward.conv.dot_bound() <= i16::BOUND => {
            let dots = forward.chunk_len().div_ceil(4);
            forward.prepare(
                target,
                consumed,
                |f, io, laid, lanes| f.scaled(io, laid, lanes, |d: i16| f32::from(d)),
                dots,
            )
        }
        (_, _) => {
            let dots = forward.chunk_len().div_ceil(2);
            forward.prepare(target, consumed, |f, io, laid, lanes| f.scaled(io, laid, lanes, |d: i32| d as f32), dots)
        }
    })
}

/// Codes and groups of packed bits.
pub fn packing(meta: &ValueMeta) -> (Codes, usize) {
    match meta.meaning {
        Meaning::Bit { codes, groups } => (codes, groups),
        _ => unreachable!("the op's shape rule asks for bits"),
    }
}

impl Forward {
    /// The kernel; `run` gets the laid weights and the scratch words of the lanes, of which each has `dots` besides those that the convolution needs.
    fn prepare(
        self,
        target: Target,
        consumed: Option<Vec<usize>>,
        run: impl Fn(&Self, &Io<'_>, &[u64], &mut [u64]) + Send + Sync + 'static,
        dots: usize,
    ) -> Prepared<Kernel> {
        let name = self.conv.kernel_name();
        let scratch = target.threads * (self.conv.scratch_words() + dots);
        let sizes = laid::Sizes { laid: self.conv.laid_weight_words(), scratch };
        laid::prepare(name, consumed, sizes, self, |f, io, laid| f.conv.lay_weights(io.input(1), laid), run)
    }

    /// Output elements of one chunk.
    fn chunk_len(&self) -> usize {
        self.strips.pixels() * self.conv.geometry().all_out_channels()
    }

    /// Image `i` of packed images.
    fn image<'a>(&self, images: &'a [u64], i: usize) -> &'a [u64] {
        let len = self.conv.image_layout().len();
        &images[i * len..][..len]
    }

    /// The integers themselves.
    fn dots<T: Dot + Pod + Send>(&self, io: &Io<'_>, laid: &[u64], lanes: &mut [u64]) {
        let (images, out): (&[u64], &mut [T]) = (io.input(0), io.output(0));
        let per_lane = self.conv.scratch_words();
        io.threads().for_chunks_with(out, self.chunk_len(), lanes, per_lane, |i, out, scratch| {
            let (image, rows) = self.strips.place(i);
            self.conv.rows(self.image(images, image), laid, rows, scratch, out);
        });
    }

    /// `fl(α·fl(d))`.
    fn scaled<T: Dot + Pod>(
        &self,
        io: &Io<'_>,
        laid: &[u64],
        lanes: &mut [u64],
        float: impl Fn(T) -> f32 + Copy + Sync,
    ) {
        let (images, alpha, out): (&[u64], &[f32], &mut [f32]) = (io.input(0), io.input(2), io.output(0));
        let channels = self.conv.geometry().all_out_channels();
        let scratch_words = self.conv.scratch_words();
        let per_lane = scratch_words + (self.chunk_len() * size_of::<T>()).div_ceil(size_of::<u64>());
        let threads: Threads = io.threads();
        threads.for_chunks_with(out, self.chunk_len(), lanes, per_lane, |i, out, scratch| {
            let (scratch, dots) = scratch.split_at_mut(scratch_words);
            let dots = &mut bytemuck::cast_slice_mut::<u64, T>(dots)[..out.len()];
            let (image, rows) = self.strips.place(i);
            self.conv.rows(self.image(images, image), laid, rows, scratch, dots);
            self.isa.vectorize(
                #[inline(always)]
                || scale(dots, alpha, channels, float, out),
            );
        });
    }
}

/// `fl(α·fl(d))` of rows of `channels`; each α stands for as many consecutive channels.
#[inline(always)]
fn scale<T: Copy>(dots: &[T], alpha: &[f32], channels: usize, float: impl Fn(T) -> f32, out: &mut [f32]) {
    for (dots, out) in dots.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        if alpha.len() == channels {
            for ((out, &d), alpha) in out.iter_mut().zip(dots).zip(alpha) {
                *out = alpha * float(d);
            }
        } else {
            let span = channels / alpha.len();
            for ((out, dots), alpha) in out.chunks_exact_mut(span).zip(dots.chunks_exact(span)).zip(alpha) {
                for (out, &d) in out.iter_mut().zip(dots) {
                    *out = alpha * float(d);
                }
            }
        }
    }
}

pub fn prepare_grad_input(
    op: &BinaryConv2dGradInput,
    io: &IoMeta,
    target: Target,
) -> Result<Prepared<Kernel>, ExecError> {
    let (dy, dx) = (extents(io.inputs[0]), extents(io.outputs[0]));
    let pool = op.unpool.as_ref().map(|pool| pool.window);
    let gradient =
        BinaryGradInput::new(&op.window, op.groups, pool, dy, dx, (Codes::Sign, 1), op.rounding, target).map_err(
            |reason| ExecError::Unsupported { op: "binary_conv2d_grad_input", path: io.path.to_owned(), reason },
        )?;
    Ok(gradient.prepare(target, |io: &Io<'_>| [Term { packed: io.input(1), factors: io.input(2), sign: 1.0 }]))
}

pub fn prepare_grad_weight(
    op: &BinaryConv2dGradWeight,
    io: &IoMeta,
    target: Target,
) -> Result<Prepared<Kernel>, ExecError> {
    let (x, dy) = (extents(io.inputs[0]), extents(io.inputs[1]));
    let (codes, groups) = packing(io.inputs[0]);
    let pool = op.unpool.as_ref().map(|pool| pool.window);
    let gradient =
        BinaryGradWeight::new(&op.window, groups, pool, x, dy, (codes, op.pad_value), op.rounding, target).map_err(
            |reason| ExecError::Unsupported { op: "binary_conv2d_grad_weight", path: io.path.to_owned(), reason },
        )?;
    Ok(gradient.prepare(target))
}
