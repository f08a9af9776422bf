//! The gradient of a convolution by its weights: dyᵀ times patches.
//!
//! The sum over pixels falls into partial sums over runs of images and into blocks of output channels; both follow from the shape alone. Each partial
//! sum is one ascending chain over its pixels, and they are added in order, so the threads do not matter.

use std::slice::from_ref;

use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_kernels::{Gemm, Isa, Matrix};

use super::partial_sums::{PartialSums, add_partials};
use super::patches::{Axis, Frame, Patches};
use crate::io::Kernel;
use crate::target::Target;
use crate::threads::Threads;

/// Pixels whose patches are gathered at a time, at most: panels of so many rows stay in the first cache.
const BLOCK: usize = 128;

/// dw from x and dy.
pub struct PatchWeightGradient {
    isa: Isa,
    gemm: Gemm,
    images: usize,
    /// Images gathered at a time.
    batch: usize,
    frame: Frame,
    patches: Patches,
    /// Pixels gathered at a time.
    block: usize,
    groups: usize,
    /// Output channels of all groups.
    outputs: usize,
    /// Output channels of one piece.
    piece: usize,
    /// Images of one partial sum.
    partial: usize,
    taps: usize,
}

impl PatchWeightGradient {
    /// For x `[n, h, w, c]`, dy `[n, h', w', o]` and dw `[o, c/groups, kh, kw]`.
    pub fn new(window: &Window, groups: usize, x: [usize; 4], dy: [usize; 4], isa: Isa) -> Self {
        let [images, height, width, channels] = x;
        let [rows, columns] = [0, 1].map(|axis| Axis::forward(window, axis, dy[axis + 1]));
        let frame = Frame::new([height, width], channels, [from_ref(&rows), from_ref(&columns)]);
        let gemm = Gemm::new(isa);
        let patches = Patches::panels(&frame, [&rows, &columns], groups, gemm.packed_b_len(1, 1));
        let outputs = dy[3];
        let PartialSums { images: partial, channels: piece } = PartialSums::new(images, groups, outputs);
        let batch = (BLOCK / patches.pixels()).clamp(1, partial);
        let pixels = batch * patches.pixels();
        Self {
            isa,
            gemm,
            images,
            batch,
            frame,
            block: pixels.div_ceil(pixels.div_ceil(BLOCK)),
            patches,
            groups,
            outputs,
            piece,
            partial,
            taps: window.taps(),
        }
    }

    /// The kernel: images are input 0, dy is input 1.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        Prepared {
            name: self.gemm.kernel_name(),
            scratch: (self.partials_len() + target.threads * self.lane_len()) * size_of::<f32>(),
            prologue: None,
            in_place: None,
            kernel: Box::new(move |io| {
                let (partials, lanes) = io.scratch().split_at_mut(self.partials_len());
                self.sum_partials(io.threads(), io.input(0), io.input(1), partials, lanes);
                let extents = [self.taps, self.patches.depth() / self.taps];
                add_partials(io.threads(), self.isa, partials, extents, io.output(0));
            }),
        }
    }

    /// Elements of dw.
    fn weights_len(&self) -> usize {
        self.outputs * self.patches.depth()
    }

    /// Elements of the partial sums, `[partials, outputs, taps · channels]`.
    fn partials_len(&self) -> usize {
        self.images.div_ceil(self.partial) * self.weights_len()
    }

    /// Scratch elements of a lane: framed images, patches.
    fn lane_len(&self) -> usize {
        self.batch * self.frame.len() + self.patches.len(self.block)
    }

    fn sum_partials(&self, threads: Threads, images: &[f32], dy: &[f32], partials: &mut [f32], lanes: &mut [f32]) {
        let depth = self.patches.depth();
        let panel_columns = self.patches.len(1);
        threads.for_chunks_with(partials, self.piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let (frames, patches) = scratch.split_at_mut(self.batch * self.frame.len());
            let (partial, output) = (i * self.piece / self.outputs, i * self.piece % self.outputs);
            let group = output / (self.outputs / self.groups);
            let first = partial * self.partial;
            let end = self.images.min(first + self.partial);
            for start in (first..end).step_by(self.batch) {
                let batch = start..end.min(start + self.batch);
                let count = batch.len() * self.patches.pixels();
                let framed = self.frame.framed(images, batch, frames);
                for pixel in (0..count).step_by(self.block) {
                    let pixels = pixel..count.min(pixel + self.block);
                    let size = (self.piece, depth, pixels.len());
                    let patches = &mut patches[..pixels.len() * panel_columns];
                    self.patches.gather(self.isa, framed, group, pixels, patches);
                    let dy = &dy[(start * self.patches.pixels() + pixel) * self.outputs + output..];
                    let dy = Matrix::transposed(dy, self.outputs);
                    self.gemm.run(size, dy, patches, dw, depth, start > first || pixel > 0);
                }
            }
        });
    }
}
