//! The gradient of a convolution of codes by its weights: dyᵀ times patches of bits, by look-up tables of dy.
//!
//! The sum over pixels falls into partial sums over runs of images and into blocks of output channels; both follow from the shape alone. Each partial
//! sum is an ascending chain over its pixels, four at a time, anew for each block of them; blocks and partial sums are added in order, so the threads do not matter.

use std::ops::Range;

use binary_nets_bits::{Codes, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::lut_gemm::{MOST, MOST_CODES, MOST_DEPTH};
use binary_nets_kernels::{Isa, LutGemm};

use super::bit_patches::BitPatches;
use super::byte_grad_weight::ByteGradWeight;
use super::magnitudes::{magnitudes, rounding_of, scratch_len};
use super::partial_sums::{PartialSums, add_some_taps};
use super::stacked_grad_weight::StackedGradWeight;
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Elements of a line of the cache: where parts of scratch memory begin.
const LINE: usize = 16;

/// Pixels whose products are summed before dw is written, at most: whole words of laid codes of every kernel, for sums of whole numbers are rounded where a block ends.
const BLOCK: usize = 480;

const _: () = assert!(BLOCK <= MOST_DEPTH && StochasticRounding::MOST <= MOST, "sums of whole numbers are exact");

/// What is multiplied.
pub struct BinaryGradWeight {
    pub isa: Isa,
    /// What the bits of x mean.
    pub codes: Codes,
    pub rounding: Option<StochasticRounding>,
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

/// A way to multiply.
pub trait Product: Send + Sync + 'static {
    /// Name of the kernel.
    fn kernel_name(&self) -> &'static str;
    /// What is multiplied.
    fn shape(&self) -> &BinaryGradWeight;
    /// Elements of the laid patches.
    fn laid_len(&self) -> usize;
    /// Scratch elements of a lane.
    fn lane_len(&self) -> usize;
    /// Lays the patches of all pixels.
    fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]);
    /// The partial sums, `[partials, outputs, taps · channels]`, of dy and what it is rounded with.
    fn sum(
        &self,
        threads: Threads,
        dy: (&[f32], Option<&Rounding>),
        laid: &[u32],
        partials: &mut [f32],
        lanes: &mut [u32],
    );
}

impl BinaryGradWeight {
    /// For x `[n, h, w, c]` of `codes`, dy `[n, h', w', o]` and dw `[o, c/groups, kh, kw]`; `pad_value`, 0 or 1, stands outside x, and dy is rounded as
    /// `rounding` says.
    pub fn new(
        window: &Window,
        groups: usize,
        [images, height, width, channels]: [usize; 4],
        [_, rows, columns, outputs]: [usize; 4],
        (codes, pad_value): (Codes, u8),
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Self {
        let PartialSums { images: partial, channels: piece } = PartialSums::new(images, groups, outputs);
        let (input, output) = ([height, width], [rows, columns]);
        let (cropped, first) = if pad_value == 0 { window.cropped(input, output) } else { (*window, [0; 2]) };
        Self {
            isa: target.isa,
            codes,
            rounding,
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
        }
    }

    /// The kernel: packed codes are input 0, dy is input 1.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        match self.rounding.and_then(|_| LutGemm::new(self.isa, self.codes)) {
            Some(gemm) => prepare(ByteGradWeight::new(self, gemm), target),
            None => prepare(StackedGradWeight::new(self), target),
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

    /// Gives the bits of the patches of some pixels, `word` pixels at a time, to `lay([number of the word, panel], rows)`; `rows` is room for those of all panels.
    pub fn words(
        &self,
        codes: &[u64],
        (pixels, group): (Range<usize>, usize),
        word: usize,
        rows: &mut [[u64; MOST_CODES]],
        mut lay: impl FnMut([usize; 2], &[u64; MOST_CODES]),
    ) {
        let mut places = self.patches.places(pixels.start);
        for (i, first) in pixels.clone().step_by(word).enumerate() {
            rows.fill([0; MOST_CODES]);
            for (k, place) in (0..word.min(pixels.end - first)).zip(&mut places) {
                self.patches.set(codes, group, place, |panel, bits| rows[panel][k] |= bits);
            }
            for (panel, rows) in rows.iter().enumerate() {
                lay([i, panel], rows);
            }
        }
    }

    /// Reads dy in the order of memory: for each pixel a line of the output channels of a piece from `first` on, which lines are `stride` apart, and zeros.
    pub fn lines(
        &self,
        (dy, rounding): (&[f32], Option<&Rounding>),
        pixels: Range<usize>,
        first: usize,
        (lines, stride): (&mut [f32], usize),
    ) {
        let (lines, rest) = lines.split_at_mut(pixels.len() * stride);
        rest.fill(0.0);
        self.isa.vectorize(
            #[inline(always)]
            || {
                for (line, pixel) in lines.chunks_exact_mut(stride).zip(pixels) {
                    let index = pixel * self.outputs + first;
                    let dy = &dy[index..][..self.piece];
                    let (line, rest) = line.split_at_mut(self.piece);
                    rest.fill(0.0);
                    match rounding {
                        None => line.copy_from_slice(dy),
                        Some(rounding) => {
                            let numbers = line.iter_mut().zip(dy).zip(index as u32..);
                            numbers.for_each(|((line, dy), index)| *line = rounding.round(*dy, index));
                        }
                    }
                }
            },
        );
    }

    /// The sums of dy over the pixels that a tap reads outside x.
    fn sum_outsides(&self, threads: Threads, (dy, rounding): (&[f32], Option<&Rounding>), outsides: &mut [f32]) {
        if !self.outside {
            return;
        }
        let [rows, columns] = self.patches.output;
        let kw = self.patches.window.kernel[1];
        let outsides = &mut outsides[..self.partials() * self.patches.window.taps() * self.outputs];
        threads.for_chunks(outsides, self.outputs, |i, sums| {
            let (partial, tap) = (i / self.patches.window.taps(), i % self.patches.window.taps());
            sums.fill(0.0);
            let inside = |axis: usize, at: usize, tap: usize| {
                self.patches.window.source(axis, self.patches.input[axis], at, tap).is_some()
            };
            let images = partial * self.partial..self.images.min((partial + 1) * self.partial);
            for row in images.flat_map(|image| (0..rows).map(move |row| image * rows + row)) {
                let row_inside = inside(0, row % rows, tap / kw);
                for column in (0..columns).filter(|&column| !(row_inside && inside(1, column, tap % kw))) {
                    let index = (row * columns + column) * self.outputs;
                    let numbers = sums.iter_mut().zip(&dy[index..][..self.outputs]);
                    self.isa.vectorize(
                        #[inline(always)]
                        || match rounding {
                            None => numbers.for_each(|(sum, dy)| *sum += dy),
                            Some(rounding) => numbers
                                .zip(index as u32..)
                                .for_each(|((sum, dy), index)| *sum += rounding.round(*dy, index)),
                        },
                    );
                }
            }
            if let Some(Rounding { unit, .. }) = rounding {
                for sum in sums {
                    *sum *= unit;
                }
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

fn prepare<P: Product>(product: P, target: Target) -> Prepared<Kernel> {
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
            let dy = (io.input(1), rounding.as_ref());
            product.lay(threads, io.input(0), &mut laid[..product.laid_len()], lanes);
            let partials = &mut partials[..shape.partials() * shape.outputs * shape.depth()];
            product.sum(threads, dy, laid, partials, lanes);
            shape.sum_outsides(threads, dy, outsides);
            let extents = [shape.patches.window.taps(), shape.patches.channels];
            let dw = io.output(0);
            let taps = (shape.window.taps(), |tap| shape.tap(tap));
            add_some_taps(threads, shape.isa, partials, extents, taps, dw);
            shape.subtract_outsides(threads, outsides, dw);
        }),
    }
}
