//! The ternary convolution: two sums of bits a pixel and output.

use binary_nets_bits::Codes;
use binary_nets_exec::{ExecError, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{TernaryConv2d, TernaryConv2dGradInput};
use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::{self as kernels, Isa};
use bytemuck::Pod;

use super::binary_conv2d::{Strips, geometry, packing};
use super::binary_grad_input::BinaryGradInput;
use super::conv2d::extents;
use super::gradient_lines::Term;
use super::laid::{self, consumed};
use crate::io::{Io, Kernel};
use crate::target::Target;

/// The forward convolution.
struct Forward {
    isa: Isa,
    conv: kernels::TernaryConv2d,
    strips: Strips,
}

pub fn prepare(op: &TernaryConv2d, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let (codes, _) = packing(io.inputs[0]);
    let geometry = geometry(&op.window, io);
    let conv = kernels::TernaryConv2d::new(geometry, codes, op.pad_value, target.isa).map_err(|e| {
        ExecError::Unsupported { op: "ternary_conv2d", path: io.path.to_owned(), reason: e.to_string() }
    })?;
    let forward = Forward { isa: target.isa, strips: Strips::new(conv.geometry().out_size(), target.threads), conv };
    let consumed = consumed(io, &[1, 2]);
    Ok(match (io.inputs.len(), Layout::interchange(io.outputs[0]).storage) {
        (3, Storage::I16) => forward.prepare::<i16>(target, consumed, Forward::sums::<i16>),
        (3, _) => forward.prepare::<i32>(target, consumed, Forward::sums::<i32>),
        (_, _) if forward.conv.dot_bound() <= i16::BOUND => {
            forward
                .prepare::<i16>(target, consumed, |f, io, laid, lanes| f.scaled(io, laid, lanes, |d: i16| f32::from(d)))
        }
        (_, _) => {
            forward.prepare::<i32>(target, consumed, |f, io, laid, lanes| f.scaled(io, laid, lanes, |d: i32| d as f32))
        }
    })
}

impl Forward {
    /// The kernel, with sums of type `T`; `run` gets the laid planes and the scratch words of the lanes.
    fn prepare<T>(
        self,
        target: Target,
        consumed: Option<Vec<usize>>,
        run: impl Fn(&Self, &Io<'_>, &[u64], &mut [u64]) + Send + Sync + 'static,
    ) -> Prepared<Kernel> {
        let name = self.conv.kernel_name();
        let sizes =
            laid::Sizes { laid: self.conv.laid_weight_words(), scratch: target.threads * self.lane_words::<T>() };
        let lay = |f: &Self, io: &Io<'_>, laid: &mut [u64]| f.conv.lay_weights(io.input(1), io.input(2), laid);
        laid::prepare(name, consumed, sizes, self, lay, run)
    }

    /// Scratch words of a lane: those of the convolution, and the sums of a chunk.
    fn lane_words<T>(&self) -> usize {
        let sums = self.strips.pixels() * self.conv.pixel_sums();
        self.conv.scratch_words() + (sums * size_of::<T>()).div_ceil(size_of::<u64>())
    }

    /// The sums of a chunk of the output, in the scratch of a lane, one item for each pixel and group: positive and negative ones.
    fn chunk<'s, T: Dot + Pod>(
        &'s self,
        images: &[u64],
        laid: &[u64],
        chunk: usize,
        scratch: &'s mut [u64],
    ) -> impl Iterator<Item = (&'s [T], &'s [T])> {
        let (scratch, sums) = scratch.split_at_mut(self.conv.scratch_words());
        let sums = &mut bytemuck::cast_slice_mut::<u64, T>(sums)[..self.strips.pixels() * self.conv.pixel_sums()];
        let (image, rows) = self.strips.place(chunk);
        let len = self.conv.image_layout().len();
        self.conv.rows(&images[image * len..][..len], laid, rows, scratch, sums);
        let outputs = self.conv.geometry().out_channels;
        let pixels = sums.chunks_exact(2 * outputs + 1);
        pixels.map(move |sums| (&sums[..outputs], &sums[outputs..2 * outputs]))
    }

    /// Elements of the output of one chunk.
    fn chunk_len(&self) -> usize {
        self.strips.pixels() * self.conv.geometry().all_out_channels()
    }

    /// The integers themselves.
    fn sums<T: Dot + Pod>(&self, io: &Io<'_>, laid: &[u64], lanes: &mut [u64]) {
        let (images, outputs) = (io.input(0), self.conv.geometry().out_channels);
        let [positive, negative] = [0, 1].map(|i| (io.output::<T>(i), self.chunk_len()));
        let per_lane = self.lane_words::<T>();
        io.threads().for_chunks2_with(positive, negative, lanes, per_lane, |i, positive, negative, scratch| {
            let outs = positive.chunks_exact_mut(outputs).zip(negative.chunks_exact_mut(outputs));
            for ((positive, negative), sums) in outs.zip(self.chunk(images, laid, i, scratch)) {
                positive.copy_from_slice(sums.0);
                negative.copy_from_slice(sums.1);
            }
        });
    }

    /// `fl(fl(w_p·fl(d_p)) − fl(w_n·fl(d_n)))`.
    fn scaled<T: Dot + Pod>(
        &self,
        io: &Io<'_>,
        laid: &[u64],
        lanes: &mut [u64],
        float: impl Fn(T) -> f32 + Copy + Sync,
    ) {
        let (images, outputs) = (io.input(0), self.conv.geometry().out_channels);
        let (w_p, w_n) = (io.number(3), io.number(4));
        let per_lane = self.lane_words::<T>();
        io.threads().for_chunks_with(io.output(0), self.chunk_len(), lanes, per_lane, |i, out: &mut [f32], scratch| {
            let sums = self.chunk(images, laid, i, scratch);
            self.isa.vectorize(
                #[inline(always)]
                || {
                    for (out, (positive, negative)) in out.chunks_exact_mut(outputs).zip(sums) {
                        for ((out, &d_p), &d_n) in out.iter_mut().zip(positive).zip(negative) {
                            *out = w_p * float(d_p) - w_n * float(d_n);
                        }
                    }
                },
            );
        });
    }
}

pub fn prepare_grad_input(
    op: &TernaryConv2dGradInput,
    io: &IoMeta,
    target: Target,
) -> Result<Prepared<Kernel>, ExecError> {
    let (dy, dx) = (extents(io.inputs[0]), extents(io.outputs[0]));
    let gradient =
        BinaryGradInput::new(&op.window, op.groups, None, dy, dx, (Codes::Step, 2), op.rounding, target).map_err(
            |reason| ExecError::Unsupported { op: "ternary_conv2d_grad_input", path: io.path.to_owned(), reason },
        )?;
    Ok(gradient.prepare(target, |io| {
        [(1, 3, 1.0), (2, 4, -1.0)].map(|(plane, value, sign)| Term {
            packed: io.input(plane),
            factors: io.input(value),
            sign,
        })
    }))
}
