//! Patches times weights: the convolution and its gradient by the input.
//!
//! Every output is one ascending chain of fused multiply-adds over (tap row, tap column, channel), whatever the block, the batch, the threads
//! or the instruction set.

use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_kernels::{Gemm, Isa, Matrix};

use super::laid;
use super::patches::{Axis, Frame, Patches};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Pixels whose patches are gathered at a time, at most: enough to read large weights seldom, few enough to stay in the second cache.
const BLOCK: usize = 128;

/// A convolution-like product: every target pixel reads source pixels under taps.
pub struct PatchProduct {
    isa: Isa,
    gemm: Gemm,
    images: usize,
    /// Images of one chunk.
    chunk: usize,
    frame: Frame,
    parts: Vec<Part>,
    /// Remainders of target rows and columns, each a part.
    spread: [usize; 2],
    /// Target rows, columns, channels of all groups.
    target: [usize; 3],
    groups: usize,
    /// Source and target channels of one group.
    channels: [usize; 2],
}

/// The target pixels of one remainder by the spread, which share their taps.
struct Part {
    /// Row and column of the first of them.
    origin: [usize; 2],
    columns: usize,
    patches: Patches,
    /// Kernel taps in the order of the patches.
    taps: Vec<usize>,
    /// Pixels gathered at a time.
    block: usize,
}

/// Weights as they come: element (group, source channel, target channel, tap) at the sum of index · step; taps are neighbours.
pub struct Weights<'a> {
    /// The elements.
    pub w: &'a [f32],
    /// Steps of group, source channel, target channel.
    pub steps: [usize; 3],
}

impl Weights<'_> {
    /// Target channels from `first` on, for one source channel of a group and one tap.
    #[inline(always)]
    fn row(&self, [group, source]: [usize; 2], tap: usize, first: usize, row: &mut [f32]) {
        let from = &self.w[group * self.steps[0] + source * self.steps[1] + first * self.steps[2] + tap..];
        for (row, w) in row.iter_mut().zip(from.iter().step_by(self.steps[2])) {
            *row = *w;
        }
    }
}

impl PatchProduct {
    /// `y = x ⊛ w` for x `[n, h, w, c]` and y `[n, h', w', o]`.
    pub fn forward(window: &Window, groups: usize, x: [usize; 4], y: [usize; 4], isa: Isa) -> Self {
        let axes = [0, 1].map(|axis| vec![Axis::forward(window, axis, y[axis + 1])]);
        Self::new(window, &axes, groups, x, y, isa)
    }

    /// dx from dy.
    pub fn grad_input(window: &Window, groups: usize, dy: [usize; 4], dx: [usize; 4], isa: Isa) -> Self {
        let axes = [0, 1].map(|axis| Axis::backward(window, axis, dx[axis + 1]));
        Self::new(window, &axes, groups, dy, dx, isa)
    }

    fn new(
        window: &Window,
        axes: &[Vec<Axis>; 2],
        groups: usize,
        source: [usize; 4],
        target: [usize; 4],
        isa: Isa,
    ) -> Self {
        let [images, height, width, sources] = source;
        let frame = Frame::new([height, width], sources, [&axes[0], &axes[1]]);
        let gemm = Gemm::new(isa);
        let chunk = (BLOCK / (target[1] * target[2]).max(1)).clamp(1, images.max(1));
        let mut parts = Vec::new();
        for (row, rows) in axes[0].iter().enumerate() {
            for (column, columns) in axes[1].iter().enumerate() {
                let taps = rows.taps.iter().flat_map(|&(y, _)| columns.taps.iter().map(move |&(x, _)| (y, x)));
                let patches = Patches::rows(&frame, [rows, columns], groups);
                let pixels = chunk * patches.pixels();
                // Even blocks: a small last one would read all weights for few pixels.
                let block = pixels.div_ceil(pixels.div_ceil(BLOCK)).next_multiple_of(gemm.tile_rows());
                parts.push(Part {
                    origin: [row, column],
                    columns: columns.positions,
                    patches,
                    taps: taps.map(|(y, x)| y * window.kernel[1] + x).collect(),
                    block,
                });
            }
        }
        Self {
            isa,
            gemm,
            images,
            chunk,
            frame,
            parts,
            spread: [axes[0].len(), axes[1].len()],
            target: [target[1], target[2], target[3]],
            groups,
            channels: [sources / groups, target[3] / groups],
        }
    }

    /// The kernel: images are input 0, weights are what `weights` finds, laid once where they are constant.
    pub fn prepare(
        self,
        target: Target,
        consumed: Option<Vec<usize>>,
        weights: impl for<'a> Fn(&'a Io<'_>) -> Weights<'a> + Send + Sync + 'static,
    ) -> Prepared<Kernel> {
        let sizes = laid::Sizes { laid: self.laid_len(), scratch: target.threads * self.lane_len() };
        laid::prepare(
            self.gemm.kernel_name(),
            consumed,
            sizes,
            self,
            move |product, io, panels| product.lay(io.threads(), &weights(io), panels),
            move |product, io, panels, lanes| product.run(io.threads(), io.input(0), panels, lanes, io.output(0)),
        )
    }

    /// Elements of the laid weights of one group of one part.
    fn group_len(&self, part: &Part) -> usize {
        self.gemm.packed_b_len(part.patches.depth(), self.channels[1])
    }

    fn laid_len(&self) -> usize {
        self.parts.iter().map(|part| self.groups * self.group_len(part)).sum()
    }

    /// Scratch elements of a lane: framed images, patches, and results that are still to be spread.
    fn lane_len(&self) -> usize {
        self.chunk * self.frame.len() + self.patches_len() + self.result_len()
    }

    fn patches_len(&self) -> usize {
        self.parts.iter().map(|part| part.patches.len(part.block)).max().unwrap_or(0)
    }

    fn result_len(&self) -> usize {
        let block = self.parts.iter().map(|part| part.block).max().unwrap_or(0);
        if self.spread == [1, 1] { 0 } else { block * self.channels[1] }
    }

    /// Lays weights as panels: `[parts, groups, panels, taps · source channels, columns]`.
    fn lay(&self, threads: Threads, weights: &Weights<'_>, mut laid: &mut [f32]) {
        let [sources, targets] = self.channels;
        let width = self.gemm.packed_b_len(1, 1);
        let panels = targets.div_ceil(width);
        for part in &self.parts {
            let here;
            (here, laid) = laid.split_at_mut(self.groups * self.group_len(part));
            threads.for_chunks(here, width * part.patches.depth(), |i, panel| {
                let (group, first) = (i / panels, i % panels * width);
                let valid = width.min(targets - first);
                self.isa.vectorize(
                    #[inline(always)]
                    || {
                        for (k, row) in panel.chunks_exact_mut(width).enumerate() {
                            let (tap, source) = (part.taps[k / sources], k % sources);
                            let (row, rest) = row.split_at_mut(valid);
                            weights.row([group, source], tap, first, row);
                            rest.fill(0.0);
                        }
                    },
                );
            });
        }
    }

    fn run(&self, threads: Threads, images: &[f32], laid: &[f32], lanes: &mut [f32], out: &mut [f32]) {
        let [rows, columns, channels] = self.target;
        let image_len = rows * columns * channels;
        threads.for_chunks_with(out, self.chunk * image_len, lanes, self.lane_len(), |i, out, scratch| {
            let (frames, scratch) = scratch.split_at_mut(self.chunk * self.frame.len());
            let (patches, result) = scratch.split_at_mut(self.patches_len());
            let first = i * self.chunk;
            let images = self.frame.framed(images, first..self.images.min(first + self.chunk), frames);
            let mut laid = laid;
            for part in &self.parts {
                let count = out.len() / image_len * part.patches.pixels();
                for group in 0..self.groups {
                    let panels;
                    (panels, laid) = laid.split_at(self.group_len(part));
                    for start in (0..count).step_by(part.block) {
                        let pixels = start..count.min(start + part.block);
                        let size = (pixels.len(), self.channels[1], part.patches.depth());
                        let a = part.patches.in_place(images, group, start).unwrap_or_else(|| {
                            part.patches.gather(self.isa, images, group, pixels.clone(), patches);
                            Matrix::row_major(patches, part.patches.depth())
                        });
                        if self.spread == [1, 1] {
                            let out = &mut out[start * channels + group * self.channels[1]..];
                            self.gemm.run(size, a, panels, out, channels, false);
                        } else {
                            self.gemm.run(size, a, panels, result, self.channels[1], false);
                            self.spread(part, group, start, &result[..pixels.len() * self.channels[1]], out);
                        }
                    }
                }
            }
        });
    }

    /// Puts the pixels of a part, from number `start` on, where they belong.
    fn spread(&self, part: &Part, group: usize, start: usize, result: &[f32], out: &mut [f32]) {
        let [rows, columns, channels] = self.target;
        let per_group = self.channels[1];
        for (pixel, result) in (start..).zip(result.chunks_exact(per_group)) {
            let (image, place) = (pixel / part.patches.pixels(), pixel % part.patches.pixels());
            let row = part.origin[0] + place / part.columns * self.spread[0];
            let column = part.origin[1] + place % part.columns * self.spread[1];
            let at = ((image * rows + row) * columns + column) * channels + group * per_group;
            out[at..at + per_group].copy_from_slice(result);
        }
    }
}
