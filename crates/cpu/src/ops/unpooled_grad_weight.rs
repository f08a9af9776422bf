//! The gradient of a binary convolution by its weights where a max pool stands behind it: each number of the pool's gradient is multiplied with the patch of the one pixel of
//! its window that was the largest, so the others cost nothing.
//!
//! A partial sum is the sum over its images, in order, of sums over bands of pooled rows.

use std::ops::Range;

use binary_nets_bits::{Codes, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::Isa;

use super::magnitudes::{magnitudes, rounding_of, scratch_len};
use super::partial_sums::{PartialSums, add_partials};
use super::row_sums::{NARROW, Number, Taps, WIDE, add_scaled, row_of_bits};
use crate::io::{Io, Kernel};
use crate::target::Target;

/// Bytes of the rows of x, as numbers, that a band reads, at most: they lie in the first cache.
const BAND: usize = 40 << 10;

/// dw from x, the gradient of the pool and its index.
pub struct UnpooledGradWeight {
    isa: Isa,
    rounding: Option<StochasticRounding>,
    window: Window,
    pool: Window,
    images: usize,
    /// Rows and columns of x.
    input: [usize; 2],
    /// Rows and columns of the pool's result.
    pooled: [usize; 2],
    groups: usize,
    /// Channels of one group of x.
    channels: usize,
    /// Output channels of all groups.
    outputs: usize,
    /// Output channels of one piece.
    piece: usize,
    /// Images of one partial sum.
    partial: usize,
    codes: Codes,
    /// The number outside x.
    outside: u8,
}

/// The memory of a lane.
struct Scratch<'a, T, const LANES: usize> {
    /// One pixel of dy.
    line: &'a mut [f32],
    /// For each output channel the numbers of a band.
    numbers: &'a mut [T],
    /// Where the patch of each of them begins.
    rows: &'a mut [u32],
    /// The pixels of x that a band reads, `[panels, rows, columns]`.
    matrix: &'a mut [[T; LANES]],
    /// Where the patch of each pixel of a window begins, from that of the first on.
    places: &'a mut [u32],
}

impl UnpooledGradWeight {
    /// For x `[n, h, w, c]` of `codes`, the pool's dy `[n, h″, w″, o]` and dw `[o, c/groups, kh, kw]`; `outside`, 0 or 1, stands outside x, and dy is rounded as
    /// `rounding` says.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: &Window,
        [images, height, width, channels]: [usize; 4],
        [_, rows, columns, outputs]: [usize; 4],
        (codes, outside): (Codes, u8),
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Self {
        let PartialSums { images: partial, channels: piece } = PartialSums::new(images, groups, outputs);
        Self {
            isa: target.isa,
            rounding,
            window: *window,
            pool: *pool,
            images,
            input: [height, width],
            pooled: [rows, columns],
            groups,
            channels: channels / groups,
            outputs,
            piece,
            partial,
            codes,
            outside,
        }
    }

    /// The kernel: packed codes are input 0, dy is input 1, the index input 2.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        match self.rounding {
            None => self.prepare_of::<f32, NARROW>(target),
            Some(_) if self.channels <= NARROW => self.prepare_of::<i16, NARROW>(target),
            Some(_) => self.prepare_of::<i16, WIDE>(target),
        }
    }

    fn prepare_of<T: Number, const LANES: usize>(self, target: Target) -> Prepared<Kernel> {
        let shared = self.partials_len() + self.magnitudes_len();
        Prepared {
            name: self.isa.name(),
            scratch: (shared + target.threads * self.lane_len::<T, LANES>()) * size_of::<u32>(),
            prologue: None,
            in_place: None,
            kernel: Box::new(move |io| {
                let (partials, scratch) = io.scratch::<u32>().split_at_mut(self.partials_len());
                let (most, lanes) = scratch.split_at_mut(self.magnitudes_len());
                let partials = bytemuck::cast_slice_mut(partials);
                let rounding = self.rounding.map(|rounding| {
                    let scratch = bytemuck::cast_slice_mut(most);
                    let most = magnitudes(io.threads(), self.isa, io.input(1), self.outputs, scratch);
                    rounding_of(rounding, most, &[1.0], io.run())
                });
                self.sum_partials::<T, LANES>(io, rounding.as_ref(), partials, lanes);
                add_partials(io.threads(), self.isa, partials, [self.window.taps(), self.channels], io.output(0));
            }),
        }
    }

    /// Elements of one patch.
    fn depth(&self) -> usize {
        self.window.taps() * self.channels
    }

    /// Elements of the partial sums, `[partials, outputs, taps · channels]`.
    fn partials_len(&self) -> usize {
        self.images.div_ceil(self.partial) * self.outputs * self.depth()
    }

    /// Scratch elements of the largest magnitudes of dy.
    fn magnitudes_len(&self) -> usize {
        scratch_len(self.rounding, self.outputs)
    }

    fn panels<const LANES: usize>(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels of x along an axis that so many rows or columns of the pool read, with those outside.
    fn reach(&self, axis: usize, pooled: usize) -> usize {
        let Window { kernel, stride, dilation, .. } = self.window;
        (pooled * self.pool.kernel[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
    }

    /// The row of the matrix where the patch of a pixel begins.
    fn place(&self, [row, column]: [usize; 2]) -> u32 {
        let [down, right] = self.window.stride;
        (row * down * self.reach(1, self.pooled[1]) + column * right) as u32
    }

    /// Pooled rows of a band.
    fn band<T, const LANES: usize>(&self) -> usize {
        let bytes = |rows: &usize| self.reach(0, *rows) * self.reach(1, self.pooled[1]) * size_of::<[T; LANES]>();
        (1..=self.pooled[0]).take_while(|rows| bytes(rows) <= BAND).last().unwrap_or(1)
    }

    /// Pooled pixels of a band.
    fn band_pixels<T, const LANES: usize>(&self) -> usize {
        self.band::<T, LANES>() * self.pooled[1]
    }

    /// Rows of the matrix of one panel.
    fn panel_rows<T, const LANES: usize>(&self) -> usize {
        self.reach(0, self.band::<T, LANES>()) * self.reach(1, self.pooled[1])
    }

    /// Scratch elements of a lane.
    fn lane_len<T, const LANES: usize>(&self) -> usize {
        let matrix =
            self.panels::<LANES>() * self.panel_rows::<T, LANES>() * size_of::<[T; LANES]>() / size_of::<u32>();
        (matrix + 2 * self.piece * self.band_pixels::<T, LANES>() + self.piece + self.pool.taps()).next_multiple_of(16)
    }

    fn scratch<'a, T: Number, const LANES: usize>(&self, scratch: &'a mut [u32]) -> Scratch<'a, T, LANES> {
        let matrix =
            self.panels::<LANES>() * self.panel_rows::<T, LANES>() * size_of::<[T; LANES]>() / size_of::<u32>();
        let picks = self.piece * self.band_pixels::<T, LANES>();
        let (matrix, scratch) = scratch.split_at_mut(matrix);
        let (numbers, scratch) = scratch.split_at_mut(picks);
        let (rows, scratch) = scratch.split_at_mut(picks);
        let (line, scratch) = scratch.split_at_mut(self.piece);
        let places = &mut scratch[..self.pool.taps()];
        for (tap, place) in places.iter_mut().enumerate() {
            *place = self.place([tap / self.pool.kernel[1], tap % self.pool.kernel[1]]);
        }
        Scratch {
            line: bytemuck::cast_slice_mut(line),
            places,
            numbers: &mut bytemuck::cast_slice_mut(numbers)[..picks],
            rows,
            matrix: bytemuck::cast_slice_mut(matrix),
        }
    }

    fn sum_partials<T: Number, const LANES: usize>(
        &self,
        io: &Io<'_>,
        rounding: Option<&Rounding>,
        partials: &mut [f32],
        lanes: &mut [u32],
    ) {
        let depth = self.depth();
        let (x, dy, index) = (io.input(0), io.input(1), io.input(2));
        io.threads().for_chunks_with(
            partials,
            self.piece * depth,
            lanes,
            self.lane_len::<T, LANES>(),
            |i, dw, scratch| {
                let (partial, first) = (i * self.piece / self.outputs, i * self.piece % self.outputs);
                let images = partial * self.partial..self.images.min((partial + 1) * self.partial);
                let mut scratch = self.scratch::<T, LANES>(scratch);
                self.isa.vectorize(
                    #[inline(always)]
                    || {
                        dw.fill(0.0);
                        for image in images {
                            for row in (0..self.pooled[0]).step_by(self.band::<T, LANES>()) {
                                let rows = row..self.pooled[0].min(row + self.band::<T, LANES>());
                                self.read_x(x, image, first, rows.clone(), &mut scratch);
                                self.read_dy((dy, index), image, first, rows.clone(), rounding, &mut scratch);
                                let pixels = rows.len() * self.pooled[1];
                                self.add_band(&scratch, pixels, rounding.map_or(1.0, |rounding| rounding.unit), dw);
                            }
                        }
                    },
                );
            },
        );
    }

    /// Makes the codes that a band reads numbers.
    #[inline(always)]
    fn read_x<T: Number, const LANES: usize>(
        &self,
        codes: &[u64],
        image: usize,
        first: usize,
        rows: Range<usize>,
        scratch: &mut Scratch<'_, T, LANES>,
    ) {
        let group = first / (self.outputs / self.groups);
        let [height, width] = self.input;
        let (columns, per_pixel) = (self.reach(1, self.pooled[1]), words(self.channels));
        let numbers = if self.codes == Codes::Sign { [1.0, -1.0] } else { [0.0, 1.0] }.map(T::of);
        let outside = [T::of(f32::from(self.outside)); 2];
        let start = rows.start * self.pool.kernel[0] * self.window.stride[0];
        for (panel, matrix) in scratch.matrix.chunks_exact_mut(self.panel_rows::<T, LANES>()).enumerate() {
            let (word, bit, len) = (panel * LANES / 64, panel * LANES % 64, self.channels - panel * LANES);
            for (row, line) in matrix.chunks_exact_mut(columns).take(self.reach(0, rows.len())).enumerate() {
                let row = (start + row).checked_sub(self.window.padding[0]).filter(|&row| row < height);
                for (column, element) in line.iter_mut().enumerate() {
                    let column = column.checked_sub(self.window.padding[1]).filter(|&column| column < width);
                    *element = match row.zip(column) {
                        Some((row, column)) => {
                            let pixel = ((image * height + row) * width + column) * self.groups + group;
                            row_of_bits(codes[pixel * per_pixel + word] >> bit, numbers, len)
                        }
                        None => row_of_bits(0, outside, len),
                    };
                }
            }
        }
    }

    /// Lists for every output channel its numbers in a band, and where their patches begin.
    #[inline(always)]
    fn read_dy<T: Number, const LANES: usize>(
        &self,
        (dy, index): (&[f32], &[u32]),
        image: usize,
        first: usize,
        rows: Range<usize>,
        rounding: Option<&Rounding>,
        scratch: &mut Scratch<'_, T, LANES>,
    ) {
        let stride = self.band_pixels::<T, LANES>();
        let [kh, kw] = self.pool.kernel;
        let start = image * self.pooled[0] + rows.start;
        for pixel in 0..rows.len() * self.pooled[1] {
            let (row, column) = (pixel / self.pooled[1], pixel % self.pooled[1]);
            let at = (start * self.pooled[1] + pixel) * self.outputs + first;
            let (dy, index) = (&dy[at..][..self.piece], &index[at..][..self.piece]);
            match rounding {
                None => scratch.line.copy_from_slice(dy),
                Some(rounding) => {
                    let numbers = scratch.line.iter_mut().zip(dy).zip(at as u32..);
                    numbers.for_each(|((line, dy), index)| *line = rounding.round(*dy, index));
                }
            }
            let corner = self.place([row * kh, column * kw]);
            for (channel, (&number, &tap)) in scratch.line.iter().zip(index).enumerate() {
                scratch.numbers[channel * stride + pixel] = T::of(number);
                scratch.rows[channel * stride + pixel] = corner + scratch.places[tap as usize];
            }
        }
    }

    /// Adds the products of a band.
    #[inline(always)]
    fn add_band<T: Number, const LANES: usize>(
        &self,
        scratch: &Scratch<'_, T, LANES>,
        pixels: usize,
        unit: f32,
        dw: &mut [f32],
    ) {
        let stride = self.band_pixels::<T, LANES>();
        let columns = self.reach(1, self.pooled[1]);
        let Window { kernel: [_, kw], dilation, .. } = self.window;
        for (channel, dw) in dw.chunks_exact_mut(self.depth()).enumerate() {
            let numbers = &scratch.numbers[channel * stride..][..pixels];
            let rows = &scratch.rows[channel * stride..][..pixels];
            for (panel, matrix) in scratch.matrix.chunks_exact(self.panel_rows::<T, LANES>()).enumerate() {
                let len = LANES.min(self.channels - panel * LANES);
                for taps in Taps::of(self.window.taps()) {
                    taps.sum(
                        (numbers, rows),
                        matrix,
                        #[inline(always)]
                        |tap| tap / kw * dilation[0] * columns + tap % kw * dilation[1],
                        #[inline(always)]
                        |tap, sums| add_scaled(sums, unit, &mut dw[tap * self.channels + panel * LANES..][..len]),
                    );
                }
            }
        }
    }
}
