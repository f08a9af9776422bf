//! The gradient of a binary convolution by its input where a max pool stands behind it: each number of the pool's gradient goes to the one pixel of its window that was the
//! largest, so the others cost nothing.
//!
//! A pixel of the convolution gets a list of its channels that won, and adds for every tap the sum of their weights, times the numbers, to the input's pixel under the tap: row by
//! row of the pool, a few taps at a time, in the order of the pixels.

use binary_nets_bits::words;
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::Isa;

use super::binary_grad_input::{Term, scale};
use super::laid;
use super::magnitudes::{magnitudes, rounding_of, scratch_len};
use super::row_sums::{NARROW, Number, Taps, WIDE, add_scaled, row_of_bits};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// dx from the gradient of the pool and its index.
pub struct UnpooledGradInput {
    isa: Isa,
    rounding: Option<StochasticRounding>,
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
struct Lists<'a, T> {
    numbers: &'a mut [T],
    channels: &'a mut [u32],
    counts: &'a mut [u32],
}

impl UnpooledGradInput {
    /// For the pool's dy `[n, h″, w″, o]` and dx `[n, h, w, c]`; dy times α is rounded as `rounding` says.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: &Window,
        [_, pooled_rows, pooled_columns, sources]: [usize; 4],
        [_, rows, columns, targets]: [usize; 4],
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Self {
        Self {
            isa: target.isa,
            rounding,
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
        match self.rounding {
            None => self.prepare_of::<f32, NARROW>(target),
            Some(_) if self.channels[1] <= NARROW => self.prepare_of::<i16, NARROW>(target),
            Some(_) => self.prepare_of::<i16, WIDE>(target),
        }
    }

    fn prepare_of<T: Number, const LANES: usize>(self, target: Target) -> Prepared<Kernel> {
        let sizes = laid::Sizes {
            laid: self.matrix_rows::<LANES>() * size_of::<[T; LANES]>() / size_of::<u32>(),
            scratch: self.magnitudes_len() + target.threads * self.lane_len(),
        };
        laid::prepare(
            self.isa.name(),
            None,
            sizes,
            self,
            |gradient, io, laid: &mut [u32]| {
                gradient.lay::<T, LANES>(io.threads(), io.input(1), bytemuck::cast_slice_mut(laid));
            },
            |gradient, io, laid, scratch| gradient.run::<T, LANES>(io, bytemuck::cast_slice(laid), scratch),
        )
    }

    fn panels<const LANES: usize>(&self) -> usize {
        self.channels[1].div_ceil(LANES)
    }

    /// Rows of the laid weights of one panel, `[taps, channels of y]`.
    fn panel_rows(&self) -> usize {
        self.window.taps() * self.channels[0]
    }

    /// Rows of the laid weights, `[groups, panels, taps, channels of y]`.
    fn matrix_rows<const LANES: usize>(&self) -> usize {
        self.groups * self.panels::<LANES>() * self.panel_rows()
    }

    /// Scratch elements of the largest magnitudes of dy.
    fn magnitudes_len(&self) -> usize {
        scratch_len(self.rounding, self.groups * self.channels[0])
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

    fn lay<T: Number, const LANES: usize>(&self, threads: Threads, packed: &[u64], matrix: &mut [[T; LANES]]) {
        let [sources, targets] = self.channels;
        let codes = [T::of(1.0), T::of(-1.0)];
        threads.for_chunks(matrix, sources, |i, rows| {
            let (panel, tap) = (i / self.window.taps(), i % self.window.taps());
            let (group, panel) = (panel / self.panels::<LANES>(), panel % self.panels::<LANES>());
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

    fn run<T: Number, const LANES: usize>(&self, io: &Io<'_>, matrix: &[[T; LANES]], scratch: &mut [u32]) {
        let (most, lanes) = scratch.split_at_mut(self.magnitudes_len());
        let (dy, alpha, index) = (io.input::<f32>(0), io.input::<f32>(2), io.input::<u32>(3));
        let sources = self.groups * self.channels[0];
        let rounding = self.rounding.map(|rounding| {
            let most = magnitudes(io.threads(), self.isa, dy, sources, bytemuck::cast_slice_mut(most));
            rounding_of(rounding, most, alpha, io.run())
        });
        let [rows, columns, targets] = self.target;
        let image_len = rows * columns * targets;
        io.threads().for_chunks_with(io.output(0), image_len, lanes, self.lane_len(), |image, dx, scratch| {
            self.isa.vectorize(
                #[inline(always)]
                || self.image((dy, index), image, alpha, rounding.as_ref(), matrix, scratch, dx),
            );
        });
    }

    #[inline(always)]
    fn image<T: Number, const LANES: usize>(
        &self,
        (dy, index): (&[f32], &[u32]),
        image: usize,
        factors: &[f32],
        rounding: Option<&Rounding>,
        matrix: &[[T; LANES]],
        scratch: &mut [u32],
        dx: &mut [f32],
    ) {
        let (sources, line_len, lists_len) = (self.channels[0], self.line_len(), self.lists() * self.channels[0]);
        let (line, scratch) = scratch.split_at_mut(line_len);
        let (numbers, scratch) = scratch.split_at_mut(lists_len);
        let (channels, counts) = scratch.split_at_mut(lists_len);
        let mut lists = Lists {
            numbers: &mut bytemuck::cast_slice_mut::<u32, T>(numbers)[..lists_len],
            channels,
            counts: &mut counts[..self.lists()],
        };
        let line: &mut [f32] = bytemuck::cast_slice_mut(line);
        let unit = rounding.map_or(1.0, |rounding| rounding.unit);
        let term = Term { packed: &[], factors, sign: 1.0 };
        dx.fill(0.0);
        for pooled_row in 0..self.pooled[0] {
            let first = (image * self.pooled[0] + pooled_row) * line_len;
            let dy = &dy[first..][..line_len];
            let shape = (sources, sources, self.groups);
            match rounding {
                None => scale(dy, &term, shape, |g, _| g, line),
                Some(rounding) => scale(dy, &term, shape, |g, i| rounding.round(g, (first + i) as u32), line),
            }
            self.list(line, &index[first..][..line_len], &mut lists);
            self.add(&lists, pooled_row, matrix, unit, dx);
        }
    }

    /// Lists for every pixel under a row of dy the channels that the pool chose there.
    #[inline(always)]
    fn list<T: Number>(&self, line: &[f32], index: &[u32], lists: &mut Lists<'_, T>) {
        let sources = self.channels[0];
        lists.counts.fill(0);
        let pixels = line.chunks_exact(sources).zip(index.chunks_exact(sources));
        for ((line, index), first) in pixels.zip((0..).step_by(self.pool.taps())) {
            for ((&number, &tap), channel) in line.iter().zip(index).zip(0..) {
                let list = first + tap as usize;
                let count = &mut lists.counts[list];
                let at = list * sources + *count as usize;
                lists.numbers[at] = T::of(number);
                lists.channels[at] = channel;
                *count += 1;
            }
        }
    }

    /// Adds what the pixels under a row of dy hand back to the pixels of x under their taps: all of them for a few taps at a time, whose weights lie in the first cache.
    #[inline(always)]
    fn add<T: Number, const LANES: usize>(
        &self,
        lists: &Lists<'_, T>,
        pooled_row: usize,
        matrix: &[[T; LANES]],
        unit: f32,
        dx: &mut [f32],
    ) {
        let [rows, columns, _] = self.target;
        let [sources, targets] = self.channels;
        let [pool_rows, pool_columns] = self.pool.kernel;
        let kw = self.window.kernel[1];
        for (panel, matrix) in matrix.chunks_exact(self.panel_rows()).enumerate() {
            let (group, panel) = (panel / self.panels::<LANES>(), panel % self.panels::<LANES>());
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
                                add_scaled(sums, unit, &mut dx[at..][..len]);
                            }
                        },
                    );
                }
            }
        }
    }
}
