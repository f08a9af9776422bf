//! The gradient of a convolution with weights of one bit by its input, with tables that rows share: a lane is a piece of an image, a stack the pixels at one place of all its pieces.
//!
//! The tables of a stack of dy stay in the first cache while it is added to every stack of dx that a tap leads to, row by row of dy; a row of dx is written when the last row of dy
//! that it reads has been added. So the pixels of dx take their taps in ascending order.

use binary_nets_bits::words;
use binary_nets_graph::ops::Rounding;
use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{FLOATS, PANEL, PLACES, ROWS, TABLES, Table, WORD};

use super::binary_grad_input::{BinaryGradInput, Product, Terms};
use super::gradient_lines::{Gradient, GradientLines, Term};
use super::pieces::{Batch, Pieces};
use crate::threads::Threads;

/// Elements of a table.
const TABLE: usize = size_of::<Table>() / size_of::<f32>();

/// dx from dy.
pub struct StackedGradInput {
    lut: StackLut,
    shape: BinaryGradInput,
    lines: GradientLines,
    pieces: Pieces,
    /// Columns of dy that a piece reads.
    columns: usize,
    /// Part and number of each tap, and the source row and column that it reads for target row and column 0.
    taps: Vec<(usize, usize, [usize; 2])>,
}

/// The images of a chunk of dx.
#[derive(Clone, Copy)]
struct Images {
    first: usize,
    count: usize,
}

impl StackedGradInput {
    /// The kernel for so many threads.
    pub fn new(shape: BinaryGradInput, threads: usize) -> Self {
        let BinaryGradInput { ref parts, pool, source, groups, channels: [sources, targets], .. } = shape;
        let pieces = Pieces::new(&Batch {
            lanes: ROWS,
            images: shape.images,
            threads,
            size: parts.most,
            // A piece has as many rows of every part.
            down: if parts.each.iter().all(|part| part.size[0] == parts.most[0]) { parts.most[0] } else { 1 },
            margin: parts.margin,
            lookups: shape.taps * targets,
        });
        let taps = parts.each.iter().enumerate();
        let taps = taps.flat_map(|(i, part)| part.taps.iter().map(move |&(tap, place)| (i, tap, place)));
        Self {
            lut: StackLut::new(shape.isa, shape.codes),
            lines: GradientLines { pool, source, groups, padded: sources.next_multiple_of(FLOATS) },
            pieces,
            columns: pieces.size[1] + parts.margin[1],
            taps: taps.collect(),
            shape,
        }
    }

    /// Tables of one group of one source pixel.
    fn depth(&self) -> usize {
        self.lines.padded / FLOATS
    }

    /// Bytes of one tap of one group.
    fn tap_len(&self) -> usize {
        let [_, targets] = self.shape.channels;
        self.lines.padded.div_ceil(WORD) * targets.div_ceil(PANEL) * PLACES
    }

    /// Bytes of one term, `[groups, taps, words, panels]`.
    fn term_len(&self) -> usize {
        self.shape.groups * self.taps.len() * self.tap_len()
    }

    /// Elements of a row of dy of one lane.
    fn line_len(&self) -> usize {
        self.columns * self.lines.pixel()
    }

    /// Rows of dx that are summed at a time.
    fn ring(&self) -> usize {
        self.shape.parts.margin[0] + 1
    }

    /// Elements of the sums of one stack of dx.
    fn stack_len(&self) -> usize {
        StackLut::sums_len(self.shape.channels[1])
    }

    /// Elements of the sums of one row of dx of all parts, `[parts, columns, groups]` stacks.
    fn row_len(&self) -> usize {
        self.shape.parts.each.len() * self.pieces.size[1] * self.shape.groups * self.stack_len()
    }

    /// The first sum of a stack of dx in its row.
    fn stack(&self, part: usize, column: usize, group: usize) -> usize {
        ((part * self.pieces.size[1] + column) * self.shape.groups + group) * self.stack_len()
    }

    /// Makes the rows of dy that all lanes read for row `row` of their pieces; whether any of them lies inside.
    fn make_lines(
        &self,
        gradient: Gradient<'_>,
        images: Images,
        (term, row): (&(Term<'_>, Option<Rounding>), usize),
        lines: &mut [f32],
        pooled: &mut [f32],
    ) -> bool {
        let [height, width, _] = self.shape.source;
        let [first_row, first_column] = self.shape.parts.first;
        let starts = self.pieces.lanes(images.count).map(Some).chain(std::iter::repeat(None));
        let mut any = false;
        for (line, start) in lines.chunks_exact_mut(self.line_len()).zip(starts) {
            let place = start.and_then(|[image, y, x]| {
                let y = (y + row).checked_add_signed(first_row).filter(|y| *y < height)?;
                Some(((images.first + image) * height + y, x as isize + first_column))
            });
            let Some((y, column)) = place else {
                line.fill(0.0);
                continue;
            };
            any = true;
            let [start, end] = [column, column + self.columns as isize].map(|x| x.clamp(0, width as isize));
            let inside = [start, end].map(|x| (x - column) as usize * self.lines.pixel());
            line[..inside[0]].fill(0.0);
            line[inside[1]..].fill(0.0);
            let line = &mut line[inside[0]..inside[1]];
            let columns = start as usize..end as usize;
            self.lut.isa().vectorize(
                #[inline(always)]
                || self.lines.make(gradient, (y, columns), (&term.0, term.1.as_ref()), line, pooled),
            );
        }
        any
    }

    /// Adds a row of dy to the sums of the rows of dx that read it.
    fn add(&self, row: usize, lines: &[f32], places: &[u8], tables: &mut [Table], sums: &mut [f32]) {
        let BinaryGradInput { ref parts, groups, channels: [_, targets], .. } = self.shape;
        let panels = targets.div_ceil(PANEL);
        for column in 0..self.columns {
            for group in 0..groups {
                let places = &places[group * self.taps.len() * self.tap_len()..];
                let line = &lines[(column * groups + group) * self.lines.padded..];
                for first in (0..self.depth()).step_by(TABLES) {
                    let tables = &mut tables[..TABLES.min(self.depth() - first)];
                    self.lut.tables_of_rows(&line[first * FLOATS..], self.line_len(), tables);
                    for (&(part, _, [y, x]), places) in self.taps.iter().zip(places.chunks_exact(self.tap_len())) {
                        let size = [0, 1].map(|axis| parts.each[part].size[axis].min(self.pieces.size[axis]));
                        let place = row.checked_sub(y).zip(column.checked_sub(x));
                        let Some((y, x)) = place.filter(|&(y, x)| y < size[0] && x < size[1]) else { continue };
                        let at = y % self.ring() * self.row_len() + self.stack(part, x, group);
                        let places = &places[first * FLOATS / WORD * panels * PLACES..];
                        self.lut.add(tables, places, &mut sums[at..][..self.stack_len()]);
                    }
                }
            }
        }
    }

    /// Writes a row of all pieces of dx.
    fn write(&self, row: usize, count: usize, sums: &[f32], finish: (f32, bool), dx: &mut [f32]) {
        let BinaryGradInput { ref parts, target: [rows, columns, channels], groups, .. } = self.shape;
        let targets = self.shape.channels[1];
        let mut lanes = [0; ROWS];
        for (lane, [image, y, x]) in lanes.iter_mut().zip(self.pieces.lanes(count)) {
            *lane = ((image * rows + y * parts.spread[0]) * columns + x * parts.spread[1]) * channels;
        }
        for (i, part) in parts.each.iter().enumerate().filter(|(_, part)| row < part.size[0]) {
            for x in 0..part.size[1].min(self.pieces.size[1]) {
                let live = self.pieces.live(count, x, part.size[1]);
                let (y_out, x_out) = (part.origin[0] + row * parts.spread[0], part.origin[1] + x * parts.spread[1]);
                for group in 0..groups {
                    let c = &mut dx[(y_out * columns + x_out) * channels + group * targets..];
                    let sums = &sums[self.stack(i, x, group)..][..self.stack_len()];
                    self.lut.write(sums, (&lanes[..live], targets), finish, c);
                }
            }
        }
    }
}

impl Product for StackedGradInput {
    fn kernel_name(&self) -> &'static str {
        self.lut.kernel_name()
    }

    fn laid_len(&self) -> usize {
        (self.shape.terms * self.term_len() / size_of::<u32>()).next_multiple_of(ROWS)
    }

    fn lane_len(&self) -> usize {
        let lines = ROWS * self.line_len() + self.lines.pooled_len(self.columns);
        (TABLES * TABLE + self.ring() * self.row_len() + lines).next_multiple_of(ROWS)
    }

    fn lay(&self, threads: Threads, terms: &[Term<'_>], laid: &mut [u32]) {
        let [_, targets] = self.shape.channels;
        let laid = &mut bytemuck::cast_slice_mut::<u32, u8>(laid)[..self.shape.terms * self.term_len()];
        threads.for_chunks(laid, self.tap_len(), |i, laid| {
            let (tap, i) = (self.taps[i % self.taps.len()].1, i / self.taps.len());
            let (group, term) = (i % self.shape.groups, &terms[i / self.shape.groups]);
            for (i, places) in laid.as_chunks_mut().0.iter_mut().enumerate() {
                let (first, panel) = (i / words(targets) * WORD, i % words(targets));
                let bits = |k| self.shape.bits(term, [group, first + k, tap, panel]);
                self.lut.lay(&std::array::from_fn(bits), places);
            }
        });
    }

    fn run<const TERMS: usize>(
        &self,
        threads: Threads,
        gradient: Gradient<'_>,
        terms: &Terms<'_, TERMS>,
        laid: &[u32],
        lanes: &mut [u32],
        dx: &mut [f32],
    ) {
        let [rows, columns, channels] = self.shape.target;
        let image = rows * columns * channels;
        let height = self.pieces.size[0];
        let laid: &[u8] = bytemuck::cast_slice(laid);
        threads.for_chunks_with(dx, self.pieces.images * image, lanes, self.lane_len(), |chunk, dx, scratch| {
            let images = Images { first: chunk * self.pieces.images, count: dx.len() / image };
            let (tables, scratch) = bytemuck::cast_slice_mut(scratch).split_at_mut(TABLES * TABLE);
            let (sums, scratch) = scratch.split_at_mut(self.ring() * self.row_len());
            let (lines, pooled) = scratch.split_at_mut(ROWS * self.line_len());
            let tables: &mut [Table] = bytemuck::cast_slice_mut(tables);
            for (t, term) in terms.iter().enumerate() {
                let finish = (term.1.map_or(1.0, |rounding| rounding.unit), t > 0);
                let places = &laid[t * self.term_len()..][..self.term_len()];
                for row in 0..height + self.shape.parts.margin[0] {
                    if row < height {
                        sums[row % self.ring() * self.row_len()..][..self.row_len()].fill(0.0);
                    }
                    if self.make_lines(gradient, images, (term, row), lines, pooled) {
                        self.add(row, lines, places, tables, sums);
                    }
                    if let Some(row) = row.checked_sub(self.shape.parts.margin[0]) {
                        let sums = &sums[row % self.ring() * self.row_len()..][..self.row_len()];
                        self.write(row, images.count, sums, finish, dx);
                    }
                }
            }
        });
    }
}
