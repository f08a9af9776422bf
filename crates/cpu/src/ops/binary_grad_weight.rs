//! The gradient of a convolution of codes by its weights: dyᵀ times patches of bits, by look-up tables of dy.
//!
//! The sum over pixels falls into partial sums over runs of images and into blocks of output channels; both follow from the shape alone. Each partial
//! sum of floats is an ascending chain over its pixels, five at a time, anew for each block of them; blocks and partial sums are added in order, so the threads do not matter. Those of
//! whole numbers are exact.

use std::ops::Range;

use binary_nets_bits::{Codes, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::Isa;
use binary_nets_kernels::stack_lut::{Lane, Pair, WORD};

use super::binary_grad_input::check_sums;
use super::bit_patches::BitPatches;
use super::gradient_lines::Gradient;
use super::magnitudes::{magnitudes, rounding_of, scratch_len};
use super::partial_sums::{PartialSums, add_some_taps};
use super::stacked_grad_weight::StackedGradWeight;
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Channels of dy that are made at a time.
const CHANNELS: usize = 64;

/// Elements of a line of the cache: where parts of scratch memory begin.
const LINE: usize = 16;

/// Pixels whose patches are laid, and whose lines are made, at a time, at most: whole words. Chains of floats begin anew with each such block.
const BLOCK: usize = 8 * WORD;

/// What is multiplied.
pub struct BinaryGradWeight {
    pub isa: Isa,
    /// What the bits of x mean.
    pub codes: Codes,
    pub rounding: Option<StochasticRounding>,
    /// The max pool whose gradient stands for dy.
    pool: Option<Window>,
    pub patches: BitPatches,
    pub images: usize,
    /// Output channels of all groups.
    pub outputs: usize,
    /// Output channels of one piece.
    pub piece: usize,
    /// Images of one partial sum.
    pub partial: usize,
    /// Pixels of one block.
    pub block: usize,
    /// The window of all taps; the patches have those that ever lie inside x, where what stands outside is 0.
    window: Window,
    /// The first row and column of these among all taps.
    first: [usize; 2],
    /// Whether what stands outside is 0 where bits mean −1 and 1: such pixels count as 1 at first, and are taken away in the end.
    outside: bool,
}

impl BinaryGradWeight {
    /// For x `[n, h, w, c]` of `codes`, dy `[n, h', w', o]`, or that of a `pool` whose windows tile y, and dw `[o, c/groups, kh, kw]`; `pad_value`, 0 or 1, stands outside x, and dy is rounded as
    /// `rounding` says; fails, saying why, where it cannot be.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: Option<Window>,
        [images, height, width, channels]: [usize; 4],
        [_, rows, columns, outputs]: [usize; 4],
        (codes, pad_value): (Codes, u8),
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Result<Self, String> {
        let PartialSums { images: partial, channels: piece } = PartialSums::new(images, groups, outputs);
        // Pixels of y that no window of the pool reads have no gradient.
        let [rows, columns] = pool.map_or([rows, columns], |pool| [rows * pool.kernel[0], columns * pool.kernel[1]]);
        let (input, output) = ([height, width], [rows, columns]);
        let (cropped, first) = if pad_value == 0 { window.cropped(input, output) } else { (*window, [0; 2]) };
        check_sums(partial * rows * columns, rounding)?;
        Ok(Self {
            isa: target.isa,
            codes,
            rounding,
            pool,
            window: *window,
            first,
            patches: BitPatches {
                window: cropped,
                input,
                output,
                groups,
                channels: channels / groups,
                pad: codes == Codes::Step && pad_value == 1,
            },
            images,
            outputs,
            piece,
            partial,
            block: BLOCK.min(partial * rows * columns),
            outside: codes == Codes::Sign && pad_value == 0 && cropped.reaches_out(input, output),
        })
    }

    /// The kernel: packed codes are input 0, dy is input 1, the index of a pool input 2.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        match self.rounding {
            Some(_) => prepare(StackedGradWeight::<Pair>::new(self), target),
            None => prepare(StackedGradWeight::<f32>::new(self), target),
        }
    }

    /// What dy is rounded with.
    fn rounding_of(&self, io: &Io<'_>, scratch: &mut [u32]) -> Option<Rounding> {
        let (rounding, scratch) = (self.rounding?, bytemuck::cast_slice_mut(scratch));
        let most = magnitudes(io.threads(), self.isa, io.input(1), self.outputs, scratch);
        Some(rounding_of(rounding, most, &[1.0], io.run()))
    }

    /// The number of a tap of the patches among all taps.
    fn tap(&self, tap: usize) -> usize {
        let columns = self.patches.window.kernel[1];
        (self.first[0] + tap / columns) * self.window.kernel[1] + self.first[1] + tap % columns
    }

    pub fn partials(&self) -> usize {
        self.images.div_ceil(self.partial)
    }

    /// Pixels of one image of dy.
    fn pixels(&self) -> usize {
        self.patches.output[0] * self.patches.output[1]
    }

    /// Bits of one patch.
    pub fn depth(&self) -> usize {
        self.patches.window.taps() * self.patches.channels
    }

    /// Words of the bits of one patch.
    pub fn panels(&self) -> usize {
        words(self.depth())
    }

    /// Blocks of one partial sum.
    pub fn blocks(&self) -> usize {
        (self.partial * self.pixels()).div_ceil(self.block)
    }

    /// Elements of the partial sums, `[partials, outputs, taps · channels]`.
    fn partials_len(&self) -> usize {
        (self.partials() * self.outputs * self.depth()).next_multiple_of(LINE)
    }

    /// Elements of the sums of dy over pixels whose tap lies outside, `[partials, taps, outputs]`.
    fn outsides_len(&self) -> usize {
        if self.outside {
            (self.partials() * self.patches.window.taps() * self.outputs).next_multiple_of(LINE)
        } else {
            0
        }
    }

    /// The pixels of a block of a partial sum, counted over all images.
    pub fn block_pixels(&self, partial: usize, block: usize) -> Range<usize> {
        let first = partial * self.partial * self.pixels();
        let end = self.images.min((partial + 1) * self.partial) * self.pixels();
        let start = (first + block * self.block).min(end);
        start..end.min(start + self.block)
    }

    /// The pixels of block i of all groups of all partial sums, and its group.
    pub fn laid_block(&self, i: usize) -> (Range<usize>, usize) {
        let (block, group) = (i / self.patches.groups, i % self.patches.groups);
        (self.block_pixels(block / self.blocks(), block % self.blocks()), group)
    }

    /// Gives the bits of the patches of some pixels, a word of pixels at a time and panel by panel, to `lay`; `rows` is room for those of all panels.
    pub fn words(
        &self,
        codes: &[u64],
        (pixels, group): (Range<usize>, usize),
        rows: &mut [[u64; WORD]],
        mut lay: impl FnMut(&[u64; WORD]),
    ) {
        for first in pixels.clone().step_by(WORD) {
            self.patches.write(codes, (group, first, WORD.min(pixels.end - first)), rows);
            rows.iter().for_each(&mut lay);
        }
    }

    /// For the pixels of dy from one on, counted over all images: those of what stands for dy, and the tap of the pool, which always has whole windows.
    #[inline(always)]
    pub fn places(&self, pixel: usize) -> impl Iterator<Item = (usize, usize)> {
        let [kh, kw] = self.pool.map_or([1, 1], |pool| pool.kernel);
        let columns = self.patches.output[1];
        let (row, column) = (pixel / columns, pixel % columns);
        let (mut ky, mut kx) = (row % kh, column % kw);
        let (mut first, mut at) = (row / kh * (columns / kw), column / kw);
        std::iter::from_fn(move || {
            let place = (first + at, ky * kw + kx);
            kx += 1;
            if kx == kw {
                (kx, at) = (0, at + 1);
                if at == columns / kw {
                    (at, ky) = (0, ky + 1);
                    if ky == kh {
                        (ky, first) = (0, first + columns / kw);
                    }
                }
            }
            Some(place)
        })
    }

    /// What `finish` makes of some channels of a pixel of dy.
    #[inline(always)]
    pub fn line<T>(
        &self,
        (Gradient { dy, index }, rounding): (Gradient<'_>, Option<&Rounding>),
        (at, tap): (usize, usize),
        first: usize,
        finish: impl Fn(f32) -> T,
        line: &mut [T],
    ) {
        let at = at * self.outputs + first;
        let numbers = line.iter_mut().zip(&dy[at..]).zip(at..);
        match (rounding, self.pool) {
            (None, None) => numbers.for_each(|((line, dy), _)| *line = finish(*dy)),
            (Some(rounding), None) => {
                numbers.for_each(|((line, dy), at)| *line = finish(rounding.round(*dy, at as u32)));
            }
            (None, Some(_)) => numbers.zip(&index[at..]).for_each(|(((line, dy), _), chosen)| {
                *line = finish(if *chosen == tap as u32 { *dy } else { 0.0 });
            }),
            (Some(rounding), Some(_)) => numbers.zip(&index[at..]).for_each(|(((line, dy), at), chosen)| {
                let number = rounding.round(*dy, at as u32);
                *line = finish(if *chosen == tap as u32 { number } else { 0.0 });
            }),
        }
    }

    /// The sums of dy over the pixels that a tap reads outside x; those of whole numbers are exact below 2²⁴.
    fn sum_outsides(
        &self,
        threads: Threads,
        (gradient, rounding): (Gradient<'_>, Option<&Rounding>),
        outsides: &mut [f32],
    ) {
        if !self.outside {
            return;
        }
        let [rows, columns] = self.patches.output;
        let kw = self.patches.window.kernel[1];
        let outsides = &mut outsides[..self.partials() * self.patches.window.taps() * self.outputs];
        threads.for_chunks(outsides, self.outputs, |i, sums| {
            let (partial, tap) = (i / self.patches.window.taps(), i % self.patches.window.taps());
            sums.fill(0.0);
            let inside = |axis: usize, outputs: usize, tap: usize| {
                self.patches.window.outputs_inside(axis, self.patches.input[axis], outputs, tap)
            };
            let (inside_rows, inside_columns) = (inside(0, rows, tap / kw), inside(1, columns, tap % kw));
            let images = partial * self.partial..self.images.min((partial + 1) * self.partial);
            self.isa.vectorize(
                #[inline(always)]
                || {
                    for row in images.flat_map(|image| (0..rows).map(move |row| image * rows + row)) {
                        let within = if inside_rows.contains(&(row % rows)) { inside_columns.clone() } else { 0..0 };
                        for column in (0..within.start).chain(within.end..columns) {
                            let place = self.places(row * columns + column).next().expect("a pixel");
                            for (sums, first) in sums.chunks_mut(CHANNELS).zip((0..).step_by(CHANNELS)) {
                                let mut line = [0.0; CHANNELS];
                                let line = &mut line[..sums.len()];
                                self.line((gradient, rounding), place, first, |dy| dy, line);
                                sums.iter_mut().zip(line).for_each(|(sum, dy)| *sum += *dy);
                            }
                        }
                    }
                },
            );
            let unit = rounding.map_or(1.0, |rounding| rounding.unit);
            for sum in sums {
                *sum *= unit;
            }
        });
    }

    /// Takes away what pixels outside were counted as.
    fn subtract_outsides(&self, threads: Threads, outsides: &[f32], dw: &mut [f32]) {
        if !self.outside {
            return;
        }
        let (taps, all) = (self.patches.window.taps(), self.window.taps());
        threads.for_chunks(dw, all * self.patches.channels, |output, dw| {
            for tap in 0..taps {
                let sums = outsides[tap * self.outputs + output..].iter().step_by(taps * self.outputs);
                let outside: f32 = sums.take(self.partials()).sum();
                dw[self.tap(tap)..].iter_mut().step_by(all).for_each(|dw| *dw -= outside);
            }
        });
    }
}

fn prepare<L: Lane>(product: StackedGradWeight<L>, target: Target) -> Prepared<Kernel> {
    let shape = product.shape();
    let lens = [
        product.laid_len().next_multiple_of(LINE),
        shape.partials_len(),
        shape.outsides_len(),
        scratch_len(shape.rounding, shape.outputs),
    ];
    let lane = product.lane_len();
    Prepared {
        name: product.kernel_name(),
        scratch: (lens.iter().sum::<usize>() + target.threads * lane) * size_of::<u32>(),
        prologue: None,
        in_place: None,
        kernel: Box::new(move |io| {
            let (shape, threads) = (product.shape(), io.threads());
            let (laid, scratch) = io.scratch().split_at_mut(lens[0]);
            let (partials, scratch) = scratch.split_at_mut(lens[1]);
            let (outsides, scratch) = scratch.split_at_mut(lens[2]);
            let (magnitudes, lanes) = scratch.split_at_mut(lens[3]);
            let (partials, outsides) = (bytemuck::cast_slice_mut(partials), bytemuck::cast_slice_mut(outsides));
            let rounding = shape.rounding_of(io, magnitudes);
            let index = shape.pool.map_or(&[][..], |_| io.input(2));
            let gradient = (Gradient { dy: io.input(1), index }, rounding.as_ref());
            product.lay(threads, io.input(0), &mut laid[..product.laid_len()], lanes);
            let partials = &mut partials[..shape.partials() * shape.outputs * shape.depth()];
            product.sum(threads, gradient, laid, partials, lanes);
            shape.sum_outsides(threads, gradient, outsides);
            let extents = [shape.patches.window.taps(), shape.patches.channels];
            let dw = io.output(0);
            let taps = (shape.window.taps(), |tap| shape.tap(tap));
            add_some_taps(threads, shape.isa, partials, extents, taps, dw);
            shape.subtract_outsides(threads, outsides, dw);
        }),
    }
}
