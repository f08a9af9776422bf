//! The gradient of a binary convolution by its input where a max pool stands behind it and gradients are floats: each number of the pool's gradient goes to the one pixel of its
//! window that was the largest, so the others cost nothing. (Whole numbers are looked up so fast that zeros among them do not matter: see `binary_grad_input`.)
//!
//! A pixel of the convolution gets a list of its channels that won, and adds for every tap the sum of their weights, times the numbers, to the input's pixel under the tap: row by
//! row of the pool, a few taps at a time, in the order of the pixels.

use binary_nets_bits::words;
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_kernels::Isa;

use super::gradient_lines::{Term, scale};
use super::laid;
use super::row_sums::{NARROW, Taps, add_scaled, row_of_bits};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Columns of a row of the laid weights.
const LANES: usize = NARROW;

/// dx from the gradient of the pool and its index.
pub struct UnpooledGradInput {
    isa: Isa,
    window: Window,
    pool: Window,
    /// Rows and columns of the pool's result.
    pooled: [usize; 2],
    /// Rows, columns and channels of dx.
    target: [usize; 3],
    groups: usize,
    /// Channels of one group of y and of x.
    channels: [usize; 2],
}

/// The channels that a pool chose, for every pixel under a row of its result.
struct Lists<'a> {
    numbers: &'a mut [f32],
    channels: &'a mut [u32],
    counts: &'a mut [u32],
}

impl UnpooledGradInput {
    /// For the pool's dy `[n, h″, w″, o]` and dx `[n, h, w, c]`.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: &Window,
        [_, pooled_rows, pooled_columns, sources]: [usize; 4],
        [_, rows, columns, targets]: [usize; 4],
        target: Target,
    ) -> Self {
        Self {
            isa: target.isa,
            window: *window,
            pool: *pool,
            pooled: [pooled_rows, pooled_columns],
            target: [rows, columns, targets],
            groups,
            channels: [sources / groups, targets / groups],
        }
    }

    /// The kernel: dy is input 0, weights are input 1, α input 2, the index input 3.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        let sizes = laid::Sizes { laid: self.matrix_rows() * LANES, scratch: target.threads * self.lane_len() };
        laid::prepare(
            self.isa.name(),
            None,
            sizes,
            self,
            |gradient, io, laid: &mut [u32]| {
                gradient.lay(io.threads(), io.input(1), bytemuck::cast_slice_mut(laid));
            },
            |gradient, io, laid, scratch| gradient.run(io, bytemuck::cast_slice(laid), scratch),
        )
    }

    fn panels(&self) -> usize {
        self.channels[1].div_ceil(LANES)
    }

    /// Rows of the laid weights of one panel, `[taps, channels of y]`.
    fn panel_rows(&self) -> usize {
        self.window.taps() * self.channels[0]
    }

    /// Rows of the laid weights, `[groups, panels, taps, channels of y]`.
    fn matrix_rows(&self) -> usize {
        self.groups * self.panels() * self.panel_rows()
    }

    /// Elements of a row of dy.
    fn line_len(&self) -> usize {
        self.pooled[1] * self.groups * self.channels[0]
    }

    /// Lists of the pixels under a row of dy, `[columns, groups, taps of the pool]`.
    fn lists(&self) -> usize {
        self.pooled[1] * self.groups * self.pool.taps()
    }

    /// Scratch elements of a lane: a row of dy, and the numbers, channels and lengths of its lists, in each of which all channels have room.
    fn lane_len(&self) -> usize {
        (self.line_len() + 2 * self.lists() * self.channels[0] + self.lists()).next_multiple_of(16)
    }

    fn lay(&self, threads: Threads, packed: &[u64], matrix: &mut [[f32; LANES]]) {
        let [sources, targets] = self.channels;
        let codes = [1.0, -1.0];
        threads.for_chunks(matrix, sources, |i, rows| {
            let (panel, tap) = (i / self.window.taps(), i % self.window.taps());
            let (group, panel) = (panel / self.panels(), panel % self.panels());
            let (word, bit) = (panel * LANES / 64, panel * LANES % 64);
            self.isa.vectorize(
                #[inline(always)]
                || {
                    for (source, row) in rows.iter_mut().enumerate() {
                        let at = ((group * sources + source) * self.window.taps() + tap) * words(targets) + word;
                        *row = row_of_bits(packed[at] >> bit, codes, targets - panel * LANES);
                    }
                },
            );
        });
    }

    fn run(&self, io: &Io<'_>, matrix: &[[f32; LANES]], scratch: &mut [u32]) {
        let (dy, alpha, index) = (io.input::<f32>(0), io.input::<f32>(2), io.input::<u32>(3));
        let [rows, columns, targets] = self.target;
        let image_len = rows * columns * targets;
        io.threads().for_chunks_with(io.output(0), image_len, scratch, self.lane_len(), |image, dx, scratch| {
            self.isa.vectorize(
                #[inline(always)]
                || self.image((dy, index), image, alpha, matrix, scratch, dx),
            );
        });
    }

    #[inline(always)]
    fn image(
        &self,
        (dy, index): (&[f32], &[u32]),
        image: usize,
        factors: &[f32],
        matrix: &[[f32; LANES]],
        scratch: &mut [u32],
        dx: &mut [f32],
    ) {
        let (sources, line_len, lists_len) = (self.channels[0], self.line_len(), self.lists() * self.channels[0]);
        let (line, scratch) = scratch.split_at_mut(line_len);
        let (numbers, scratch) = scratch.split_at_mut(lists_len);
        let (channels, counts) = scratch.split_at_mut(lists_len);
        let mut lists =
            Lists { numbers: bytemuck::cast_slice_mut(numbers), channels, counts: &mut counts[..self.lists()] };
        let line: &mut [f32] = bytemuck::cast_slice_mut(line);
        let term = Term { packed: &[], factors, sign: 1.0 };
        dx.fill(0.0);
        for pooled_row in 0..self.pooled[0] {
            let first = (image * self.pooled[0] + pooled_row) * line_len;
            let dy = &dy[first..][..line_len];
            let shape = (sources, sources, self.groups);
            scale(dy, &term, shape, |g, _| g, line);
            self.list(line, &index[first..][..line_len], &mut lists);
            self.add(&lists, pooled_row, matrix, dx);
        }
    }

    /// Lists for every pixel under a row of dy the channels that the pool chose there.
    #[inline(always)]
    fn list(&self, line: &[f32], index: &[u32], lists: &mut Lists<'_>) {
        let sources = self.channels[0];
        lists.counts.fill(0);
        let pixels = line.chunks_exact(sources).zip(index.chunks_exact(sources));
        for ((line, index), first) in pixels.zip((0..).step_by(self.pool.taps())) {
            for ((&number, &tap), channel) in line.iter().zip(index).zip(0..) {
                let list = first + tap as usize;
                let count = &mut lists.counts[list];
                let at = list * sources + *count as usize;
                lists.numbers[at] = number;
                lists.channels[at] = channel;
                *count += 1;
            }
        }
    }

    /// Adds what the pixels under a row of dy hand back to the pixels of x under their taps: all of them for a few taps at a time, whose weights lie in the first cache.
    #[inline(always)]
    fn add(&self, lists: &Lists<'_>, pooled_row: usize, matrix: &[[f32; LANES]], dx: &mut [f32]) {
        let [rows, columns, _] = self.target;
        let [sources, targets] = self.channels;
        let [pool_rows, pool_columns] = self.pool.kernel;
        let kw = self.window.kernel[1];
        for (panel, matrix) in matrix.chunks_exact(self.panel_rows()).enumerate() {
            let (group, panel) = (panel / self.panels(), panel % self.panels());
            let len = LANES.min(targets - panel * LANES);
            for taps in Taps::of(self.window.taps()) {
                for pixel in 0..self.pooled[1] * self.pool.taps() {
                    let (pooled_column, tap) = (pixel / self.pool.taps(), pixel % self.pool.taps());
                    let list = (pooled_column * self.groups + group) * self.pool.taps() + tap;
                    let places = list * sources..list * sources + lists.counts[list] as usize;
                    let row = pooled_row * pool_rows + tap / pool_columns;
                    let column = pooled_column * pool_columns + tap % pool_columns;
                    taps.sum(
                        (&lists.numbers[places.clone()], &lists.channels[places]),
                        matrix,
                        #[inline(always)]
                        |tap| tap * sources,
                        #[inline(always)]
                        |tap, sums| {
                            let row = self.window.source(0, rows, row, tap / kw);
                            if let Some((row, column)) = row.zip(self.window.source(1, columns, column, tap % kw)) {
                                let at = ((row * columns + column) * self.groups + group) * targets + panel * LANES;
                                add_scaled(sums, 1.0, &mut dx[at..][..len]);
                            }
                        },
                    );
                }
            }
        }
    }
}
