//! The gradient of a convolution of codes by its weights: dyᵀ times patches of bits, by look-up tables of dy.
//!
//! The sum over pixels falls into partial sums over runs of images and into blocks of output channels; both follow from the shape alone. Each partial
//! sum is one ascending chain over its pixels, four at a time, and they are added in order, so the threads do not matter.

use std::ops::Range;

use binary_nets_bits::{Codes, tail_mask, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{FLOATS, Fours, Job, PANEL, Row, Table, WORD};

use crate::io::Kernel;
use crate::target::Target;
use crate::threads::Threads;

/// Pixels whose products are summed before dw is written, at most.
const BLOCK: usize = 2048;

/// Output channels whose tables of a block of pixels lie in the second cache.
const ROWS: usize = 12;

/// Pieces of work to aim at: as many threads can help.
const PIECES: usize = 8;

/// Output channels of a piece, at least.
const LEAST_CHANNELS: usize = 64;

/// f32 elements of a table.
const ENTRIES: usize = size_of::<Table>() / size_of::<f32>();

/// dw from x and dy.
pub struct BinaryGradWeight {
    gemm: LutGemm,
    window: Window,
    images: usize,
    /// Rows and columns of x.
    input: [usize; 2],
    /// Rows and columns of dy.
    output: [usize; 2],
    groups: usize,
    /// Channels of one group of x.
    channels: usize,
    /// Output channels of all groups.
    outputs: usize,
    /// Output channels of one piece.
    piece: usize,
    /// Images of one partial sum.
    partial: usize,
    /// Pixels of one block; a multiple of [`WORD`].
    block: usize,
    /// The bits of a pixel outside x.
    pad: bool,
    /// Whether what stands outside is 0 where bits mean −1 and 1: such pixels count as 1 at first, and are taken away in the end.
    outside: bool,
}

impl BinaryGradWeight {
    /// For x `[n, h, w, c]` of `codes`, dy `[n, h', w', o]` and dw `[o, c/groups, kh, kw]`; `pad_value`, 0 or 1, stands outside x.
    pub fn new(
        window: &Window,
        groups: usize,
        [images, height, width, channels]: [usize; 4],
        [_, rows, columns, outputs]: [usize; 4],
        (codes, pad_value): (Codes, u8),
        target: Target,
    ) -> Self {
        let per_group = outputs / groups;
        let fits = |pieces: &usize| per_group.is_multiple_of(*pieces) && per_group / pieces >= LEAST_CHANNELS;
        let pieces = (1..=PIECES).rev().find(fits).unwrap_or(1);
        let partials = (PIECES / (pieces * groups)).clamp(1, images.max(1));
        let partial = images.div_ceil(partials).max(1);
        Self {
            gemm: LutGemm::new(target.isa, codes),
            window: *window,
            images,
            input: [height, width],
            output: [rows, columns],
            groups,
            channels: channels / groups,
            outputs,
            piece: per_group / pieces,
            partial,
            block: BLOCK.min((partial * rows * columns).next_multiple_of(WORD)).max(WORD),
            pad: codes == Codes::Step && pad_value == 1,
            outside: codes == Codes::Sign && pad_value == 0 && window.padding != [0; 2],
        }
    }

    /// The kernel: packed codes are input 0, dy is input 1.
    pub fn prepare(self, target: Target) -> Prepared<Kernel> {
        let scratch = self.laid_len() + self.partials_len() + self.outsides_len() + target.threads * self.lane_len();
        Prepared {
            name: self.gemm.kernel_name(),
            scratch: scratch * size_of::<u32>(),
            prologue: None,
            in_place: None,
            kernel: Box::new(move |io| {
                let (laid, scratch) = io.scratch().split_at_mut(self.laid_len());
                let (partials, scratch) = scratch.split_at_mut(self.partials_len());
                let (outsides, lanes) = scratch.split_at_mut(self.outsides_len());
                let (partials, outsides) = (bytemuck::cast_slice_mut(partials), bytemuck::cast_slice_mut(outsides));
                self.lay(io.threads(), io.input(0), laid, lanes);
                self.sum_partials(io.threads(), io.input(1), laid, partials, lanes);
                self.sum_outsides(io.threads(), io.input(1), outsides);
                self.add_partials(io.threads(), partials, outsides, io.output(0));
            }),
        }
    }

    fn partials(&self) -> usize {
        self.images.div_ceil(self.partial)
    }

    /// Pixels of one image of dy.
    fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Bits of one patch.
    fn depth(&self) -> usize {
        self.window.taps() * self.channels
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
        self.panels() * self.block / WORD * PANEL
    }

    /// Words of the laid patches, `[partials, blocks, groups, panels, words, PANEL]`.
    fn laid_len(&self) -> usize {
        self.partials() * self.blocks() * self.groups * self.block_len()
    }

    /// Elements of the partial sums, `[partials, outputs, taps · channels]`.
    fn partials_len(&self) -> usize {
        (self.partials() * self.outputs * self.depth()).next_multiple_of(ENTRIES)
    }

    /// Elements of the sums of dy over pixels whose tap lies outside, `[partials, taps, outputs]`.
    fn outsides_len(&self) -> usize {
        if self.outside { (self.partials() * self.window.taps() * self.outputs).next_multiple_of(ENTRIES) } else { 0 }
    }

    /// Scratch elements of a lane: rows of bits that are laid, or tables and the last pixels.
    fn lane_len(&self) -> usize {
        let rows = self.panels() * WORD * size_of::<u64>() / size_of::<u32>();
        rows.max((ROWS * self.block / FLOATS + FLOATS) * ENTRIES)
    }

    /// The pixels of a block of a partial sum, counted over all images.
    fn block_pixels(&self, partial: usize, block: usize) -> Range<usize> {
        let first = partial * self.partial * self.pixels();
        let end = self.images.min((partial + 1) * self.partial) * self.pixels();
        let start = (first + block * self.block).min(end);
        start..end.min(start + self.block)
    }

    /// Lays the patches of all pixels.
    fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]) {
        threads.for_chunks_with(laid, self.block_len(), lanes, self.lane_len(), |i, laid, scratch| {
            let (block, group) = (i / self.groups, i % self.groups);
            let pixels = self.block_pixels(block / self.blocks(), block % self.blocks());
            let (rows, _) = bytemuck::cast_slice_mut::<u32, u64>(scratch).as_chunks_mut::<WORD>();
            let rows = &mut rows[..self.panels()];
            let panel_words = pixels.len().div_ceil(WORD);
            for word in 0..panel_words {
                let first = pixels.start + word * WORD;
                rows.fill([0; WORD]);
                for (k, pixel) in (first..pixels.end.min(first + WORD)).enumerate() {
                    self.patch(codes, group, pixel, |panel, bits| rows[panel][k] |= bits);
                }
                for (panel, rows) in rows.iter().enumerate() {
                    let at = (panel * panel_words + word) * PANEL;
                    let laid = laid[at..].first_chunk_mut().expect("a panel's words");
                    self.gemm.lay(rows, laid);
                }
            }
        });
    }

    /// Gives the bits of one patch, [taps, channels] without gaps, to `set(word, bits)`.
    #[inline(always)]
    fn patch(&self, codes: &[u64], group: usize, pixel: usize, mut set: impl FnMut(usize, u64)) {
        let (image, place) = (pixel / self.pixels(), pixel % self.pixels());
        let (row, column) = (place / self.output[1], place % self.output[1]);
        let per_pixel = words(self.channels);
        let [kh, kw] = self.window.kernel;
        for tap in 0..kh * kw {
            let source_row = self.window.source(0, self.input[0], row, tap / kw);
            let source_column = self.window.source(1, self.input[1], column, tap % kw);
            let source = source_row.zip(source_column);
            for word in 0..per_pixel {
                let bits = match source {
                    Some((y, x)) => {
                        let pixel = (image * self.input[0] + y) * self.input[1] + x;
                        codes[(pixel * self.groups + group) * per_pixel + word]
                    }
                    None if !self.pad => continue,
                    None if word + 1 == per_pixel => tail_mask(self.channels),
                    None => u64::MAX,
                };
                let at = tap * self.channels + word * PANEL;
                set(at / PANEL, bits << (at % PANEL));
                let valid = PANEL.min(self.channels - word * PANEL);
                if at % PANEL + valid > PANEL {
                    set(at / PANEL + 1, bits >> (PANEL - at % PANEL));
                }
            }
        }
    }

    fn sum_partials(&self, threads: Threads, dy: &[f32], laid: &[u32], partials: &mut [f32], lanes: &mut [u32]) {
        let depth = self.depth();
        let partials = &mut partials[..self.partials() * self.outputs * depth];
        threads.for_chunks_with(partials, self.piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let tables: &mut [Table] = bytemuck::cast_slice_mut(scratch);
            let (partial, first) = (i * self.piece / self.outputs, i * self.piece % self.outputs);
            let group = first / (self.outputs / self.groups);
            for block in 0..self.blocks() {
                let pixels = self.block_pixels(partial, block);
                let at = (partial * self.blocks() + block) * self.groups + group;
                let laid = &laid[at * self.block_len()..][..self.block_len()];
                for start in (0..self.piece).step_by(ROWS) {
                    let outputs = start..self.piece.min(start + ROWS);
                    let each = pixels.len().div_ceil(FLOATS);
                    self.make_tables(dy, pixels.clone(), first + start..first + outputs.end, tables);
                    let mut rows = [Row::default(); ROWS];
                    let rows = &mut rows[..outputs.len()];
                    for (j, row) in rows.iter_mut().enumerate() {
                        *row = Row { tables: j * each, out: (start + j) * depth };
                    }
                    self.gemm.run(Job {
                        tables,
                        rows,
                        segments: &[0],
                        depth: each,
                        laid,
                        columns: depth,
                        c: dw,
                        accumulate: block > 0,
                    });
                }
            }
        });
    }

    /// Tables `[outputs, fours of pixels]`.
    fn make_tables(&self, dy: &[f32], pixels: Range<usize>, outputs: Range<usize>, tables: &mut [Table]) {
        let each = pixels.len().div_ceil(FLOATS);
        let whole = pixels.len() / FLOATS;
        let columns = outputs.len();
        let first = pixels.start * self.outputs + outputs.start;
        if whole > 0 {
            let end = first + (whole * FLOATS - 1) * self.outputs + columns;
            self.gemm.tables(&dy[first..end], Fours::Columns { columns, stride: self.outputs, each }, tables);
        }
        if whole < each {
            // Behind the last pixel there is nothing.
            let mut last = [0.0; FLOATS * ROWS];
            let pixels = pixels.start + whole * FLOATS..pixels.end;
            for (last, pixel) in last.chunks_exact_mut(ROWS).zip(pixels) {
                last[..outputs.len()].copy_from_slice(&dy[pixel * self.outputs..][outputs.clone()]);
            }
            self.gemm.tables(&last, Fours::Columns { columns, stride: ROWS, each }, &mut tables[whole..]);
        }
    }

    /// The sums of dy over the pixels that a tap reads outside x.
    fn sum_outsides(&self, threads: Threads, dy: &[f32], outsides: &mut [f32]) {
        if !self.outside {
            return;
        }
        let [rows, columns] = self.output;
        let kw = self.window.kernel[1];
        let outsides = &mut outsides[..self.partials() * self.window.taps() * self.outputs];
        threads.for_chunks(outsides, self.outputs, |i, sums| {
            let (partial, tap) = (i / self.window.taps(), i % self.window.taps());
            sums.fill(0.0);
            let inside =
                |axis: usize, at: usize, tap: usize| self.window.source(axis, self.input[axis], at, tap).is_some();
            let images = partial * self.partial..self.images.min((partial + 1) * self.partial);
            for row in images.flat_map(|image| (0..rows).map(move |row| image * rows + row)) {
                let row_inside = inside(0, row % rows, tap / kw);
                for column in (0..columns).filter(|&column| !(row_inside && inside(1, column, tap % kw))) {
                    let dy = &dy[(row * columns + column) * self.outputs..][..self.outputs];
                    self.gemm.isa().vectorize(
                        #[inline(always)]
                        || sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy),
                    );
                }
            }
        });
    }

    /// Adds the partial sums, in order, and turns `[o, taps, c]` into `[o, c, taps]`.
    fn add_partials(&self, threads: Threads, partials: &[f32], outsides: &[f32], dw: &mut [f32]) {
        let (depth, taps) = (self.depth(), self.window.taps());
        threads.for_chunks(dw, depth, |output, dw| {
            for (channel, dw) in dw.chunks_exact_mut(taps).enumerate() {
                for (tap, dw) in dw.iter_mut().enumerate() {
                    let at = output * depth + tap * self.channels + channel;
                    let sums = partials[at..].iter().step_by(self.outputs * depth).take(self.partials());
                    let outside = outsides.get(tap * self.outputs + output..).unwrap_or(&[]);
                    *dw = sums.sum::<f32>()
                        - outside.iter().step_by(taps * self.outputs).take(self.partials()).sum::<f32>();
                }
            }
        });
    }
}
