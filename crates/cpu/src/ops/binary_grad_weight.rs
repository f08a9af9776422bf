//! The gradient of a convolution of codes by its weights: dyᵀ times patches of bits, by look-up tables of dy.
//!
//! The sum over pixels falls into partial sums over runs of images and into blocks of output channels; both follow from the shape alone. Each partial
//! sum is an ascending chain over its pixels, four at a time, anew for each block of them; blocks and partial sums are added in order, so the threads do not matter.

use std::ops::Range;

use binary_nets_bits::Codes;
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{ENTRIES, Job, MOST, MOST_CODES, MOST_DEPTH, Order, PANEL, Row, Table};

use super::bit_patches::BitPatches;
use super::magnitudes::{magnitudes, numbers, rounding_of, scratch_len};
use super::partial_sums::{PartialSums, add_some_taps};
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Pixels whose products are summed before dw is written, at most: whole words of laid codes of every kernel, for sums of whole numbers are rounded where a block ends.
const BLOCK: usize = 480;

const _: () = assert!(BLOCK <= MOST_DEPTH && StochasticRounding::MOST <= MOST, "sums of whole numbers are exact");

/// Output channels whose tables of a block of pixels lie in the second cache.
const ROWS: usize = 16;

/// dw from x and dy.
pub struct BinaryGradWeight {
    gemm: LutGemm,
    rounding: Option<StochasticRounding>,
    patches: BitPatches,
    images: usize,
    /// Output channels of all groups.
    outputs: usize,
    /// Output channels of one piece.
    piece: usize,
    /// Images of one partial sum.
    partial: usize,
    /// Pixels of one block; whole words of laid codes.
    block: usize,
    /// The window of all taps; the patches have those that ever lie inside x, where what stands outside is 0.
    window: Window,
    /// The first row and column of these among all taps.
    first: [usize; 2],
    /// Whether what stands outside is 0 where bits mean −1 and 1: such pixels count as 1 at first, and are taken away in the end.
    outside: bool,
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
        let gemm = LutGemm::new(target.isa, numbers(rounding), codes);
        let word = gemm.codes();
        assert!(BLOCK.is_multiple_of(word), "a block ends with a word");
        let PartialSums { images: partial, channels: piece } = PartialSums::new(images, groups, outputs);
        let (input, output) = ([height, width], [rows, columns]);
        let (cropped, first) = if pad_value == 0 { window.cropped(input, output) } else { (*window, [0; 2]) };
        Self {
            gemm,
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
            block: BLOCK.min((partial * rows * columns).next_multiple_of(word)).max(word),
            outside: codes == Codes::Sign && pad_value == 0 && cropped.reaches_out(input, output),
        }
    }

    /// The kernel: packed codes are input 0, dy is input 1.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        let shared = self.laid_len() + self.partials_len() + self.outsides_len() + self.magnitudes_len();
        Prepared {
            name: self.gemm.kernel_name(),
            scratch: (shared + target.threads * self.lane_len()) * size_of::<u32>(),
            prologue: None,
            in_place: None,
            kernel: Box::new(move |io| {
                let (laid, scratch) = io.scratch().split_at_mut(self.laid_len());
                let (partials, scratch) = scratch.split_at_mut(self.partials_len());
                let (outsides, scratch) = scratch.split_at_mut(self.outsides_len());
                let (magnitudes, lanes) = scratch.split_at_mut(self.magnitudes_len());
                let (partials, outsides) = (bytemuck::cast_slice_mut(partials), bytemuck::cast_slice_mut(outsides));
                let rounding = self.rounding_of(io, magnitudes);
                self.lay(io.threads(), io.input(0), laid, lanes);
                self.sum_partials(io.threads(), (io.input(1), rounding.as_ref()), laid, partials, lanes);
                self.sum_outsides(io.threads(), (io.input(1), rounding.as_ref()), outsides);
                let partials = &partials[..self.partials() * self.outputs * self.depth()];
                let extents = [self.patches.window.taps(), self.patches.channels];
                let dw = io.output(0);
                let taps = (self.window.taps(), |tap| self.tap(tap));
                add_some_taps(io.threads(), self.gemm.isa(), partials, extents, taps, dw);
                self.subtract_outsides(io.threads(), outsides, dw);
            }),
        }
    }

    /// What dy is rounded with.
    fn rounding_of(&self, io: &Io<'_>, scratch: &mut [u32]) -> Option<Rounding> {
        let (rounding, scratch) = (self.rounding?, bytemuck::cast_slice_mut(scratch));
        let most = magnitudes(io.threads(), self.gemm.isa(), io.input(1), self.outputs, scratch);
        Some(rounding_of(rounding, most, &[1.0], io.run()))
    }

    /// The number of a tap of the patches among all taps.
    fn tap(&self, tap: usize) -> usize {
        let columns = self.patches.window.kernel[1];
        (self.first[0] + tap / columns) * self.window.kernel[1] + self.first[1] + tap % columns
    }

    fn partials(&self) -> usize {
        self.images.div_ceil(self.partial)
    }

    /// Pixels of one image of dy.
    fn pixels(&self) -> usize {
        self.patches.output[0] * self.patches.output[1]
    }

    /// Bits of one patch.
    fn depth(&self) -> usize {
        self.patches.window.taps() * self.patches.channels
    }

    /// Panels of one patch.
    fn panels(&self) -> usize {
        self.depth().div_ceil(PANEL)
    }

    /// Blocks of one partial sum.
    fn blocks(&self) -> usize {
        (self.partial * self.pixels()).div_ceil(self.block)
    }

    /// Laid words of one group of one block.
    fn block_len(&self) -> usize {
        self.panels() * self.gemm.segment_len(self.block / self.gemm.floats())
    }

    /// Words of the laid patches, `[partials, blocks, groups, panels, words, PANEL]`.
    fn laid_len(&self) -> usize {
        self.partials() * self.blocks() * self.patches.groups * self.block_len()
    }

    /// Elements of the partial sums, `[partials, outputs, taps · channels]`.
    fn partials_len(&self) -> usize {
        (self.partials() * self.outputs * self.depth()).next_multiple_of(ENTRIES)
    }

    /// Elements of the sums of dy over pixels whose tap lies outside, `[partials, taps, outputs]`.
    fn outsides_len(&self) -> usize {
        if self.outside {
            (self.partials() * self.patches.window.taps() * self.outputs).next_multiple_of(ENTRIES)
        } else {
            0
        }
    }

    /// Scratch elements of the largest magnitudes of dy.
    fn magnitudes_len(&self) -> usize {
        scratch_len(self.rounding, self.outputs)
    }

    /// Elements of the tables of some rows of dw.
    fn tables_len(&self) -> usize {
        ROWS * self.stride(self.block) * ENTRIES
    }

    /// Scratch elements of a lane: rows of bits that are laid, or tables and the numbers of which they are made.
    fn lane_len(&self) -> usize {
        let rows = self.panels() * MOST_CODES * size_of::<u64>() / size_of::<u32>();
        let lines = (self.block + self.gemm.floats()) * self.piece;
        rows.max(self.tables_len() + lines).next_multiple_of(ENTRIES)
    }

    /// The pixels of a block of a partial sum, counted over all images.
    fn block_pixels(&self, partial: usize, block: usize) -> Range<usize> {
        let first = partial * self.partial * self.pixels();
        let end = self.images.min((partial + 1) * self.partial) * self.pixels();
        let start = (first + block * self.block).min(end);
        start..end.min(start + self.block)
    }

    /// Tables of pixels of one output channel.
    fn tables_of(&self, pixels: &Range<usize>) -> usize {
        pixels.len().div_ceil(self.gemm.floats())
    }

    /// From the tables of one output channel to the next: odd, or those of all channels would fall into the same lines of the first cache.
    fn stride(&self, pixels: usize) -> usize {
        pixels.div_ceil(self.gemm.floats()) | 1
    }

    /// Lays the patches of all pixels.
    fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]) {
        threads.for_chunks_with(laid, self.block_len(), lanes, self.lane_len(), |i, laid, scratch| {
            let (block, group) = (i / self.patches.groups, i % self.patches.groups);
            let pixels = self.block_pixels(block / self.blocks(), block % self.blocks());
            let (rows, _) = bytemuck::cast_slice_mut::<u32, u64>(scratch).as_chunks_mut::<MOST_CODES>();
            let rows = &mut rows[..self.panels()];
            let (word, each) = (self.gemm.codes(), self.gemm.segment_len(self.tables_of(&pixels)));
            let mut places = self.patches.places(pixels.start);
            for (i, first) in pixels.clone().step_by(word).enumerate() {
                rows.fill([0; MOST_CODES]);
                for (k, place) in (0..word.min(pixels.end - first)).zip(&mut places) {
                    self.patches.set(codes, group, place, |panel, bits| rows[panel][k] |= bits);
                }
                for (panel, rows) in rows.iter().enumerate() {
                    let at = panel * each + i * self.gemm.laid_len();
                    self.gemm.lay(rows, &mut laid[at..][..self.gemm.laid_len()]);
                }
            }
        });
    }

    fn sum_partials(
        &self,
        threads: Threads,
        (dy, rounding): (&[f32], Option<&Rounding>),
        laid: &[u32],
        partials: &mut [f32],
        lanes: &mut [u32],
    ) {
        let depth = self.depth();
        let scale = rounding.map_or(1.0, |rounding| rounding.unit);
        let partials = &mut partials[..self.partials() * self.outputs * depth];
        threads.for_chunks_with(partials, self.piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let (tables, lines) = scratch.split_at_mut(self.tables_len());
            let (tables, lines): (&mut [Table], _) =
                (bytemuck::cast_slice_mut(tables), bytemuck::cast_slice_mut(lines));
            let (partial, first) = (i * self.piece / self.outputs, i * self.piece % self.outputs);
            let group = first / (self.outputs / self.patches.groups);
            for block in 0..self.blocks() {
                let pixels = self.block_pixels(partial, block);
                // The last images may be fewer.
                if pixels.is_empty() {
                    break;
                }
                let at = (partial * self.blocks() + block) * self.patches.groups + group;
                let laid = &laid[at * self.block_len()..][..self.block_len()];
                let (each, stride) = (self.tables_of(&pixels), self.stride(pixels.len()));
                self.make_lines((dy, rounding), pixels, first, lines);
                for start in (0..self.piece).step_by(ROWS) {
                    let columns = ROWS.min(self.piece - start);
                    let order = Order::Columns { columns, stride: self.piece, each: stride };
                    let len = (each * self.gemm.floats() - 1) * self.piece + columns;
                    self.gemm.tables(&lines[start..][..len], order, tables);
                    let mut rows = [Row::default(); ROWS];
                    let rows = &mut rows[..columns];
                    for (j, row) in rows.iter_mut().enumerate() {
                        *row = Row { tables: j * stride, out: (start + j) * depth };
                    }
                    self.gemm.run(Job {
                        tables,
                        rows,
                        segments: &[0],
                        depth: each,
                        laid,
                        columns: depth,
                        scale,
                        c: dw,
                        accumulate: block > 0,
                    });
                }
            }
        });
    }

    /// Reads dy in the order of memory: rows of the output channels from `first` on, as they are multiplied. Tables are made of columns of them.
    fn make_lines(
        &self,
        (dy, rounding): (&[f32], Option<&Rounding>),
        pixels: Range<usize>,
        first: usize,
        lines: &mut [f32],
    ) {
        let (lines, rest) = lines.split_at_mut(pixels.len() * self.piece);
        // Behind the last pixel there is nothing.
        rest[..(self.gemm.floats() - 1) * self.piece].fill(0.0);
        self.gemm.isa().vectorize(
            #[inline(always)]
            || {
                for (line, pixel) in lines.chunks_exact_mut(self.piece).zip(pixels) {
                    let index = pixel * self.outputs + first;
                    let dy = &dy[index..][..self.piece];
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
                    self.gemm.isa().vectorize(
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
