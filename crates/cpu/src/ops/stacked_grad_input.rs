//! The gradient of a convolution with weights of one bit by its input, with tables that rows share: a row is a piece of an image, a stack the pixels at one place of all its pieces.
//!
//! The tables of a stack of dy stay in the first cache while it is added to every stack of dx that a tap leads to, row by row of dy; a row of dx is written when the last row of dy
//! that it reads has been added.

use std::ops::Range;

use binary_nets_bits::words;
use binary_nets_graph::ops::Rounding;
use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{CODES, FOUR, LANES, Lane, PANEL, PLACES, Pair, TABLES_LEN, Table, WORD};

use super::binary_grad_input::{BinaryGradInput, Terms};
use super::gradient_lines::{Gradient, GradientLines, Term};
use super::pieces::{Batch, Pieces};
use crate::threads::Threads;

/// Rows of a stack, at most.
const MOST_ROWS: usize = Pair::ROWS;

/// dx from dy.
pub struct StackedGradInput<L: Lane> {
    lut: StackLut<L>,
    shape: BinaryGradInput,
    lines: GradientLines,
    pieces: Pieces,
    /// Part and number of each tap, and the source row and column that it reads for target row and column 0.
    taps: Vec<(usize, usize, [usize; 2])>,
}

/// The images of a chunk of dx.
#[derive(Clone, Copy)]
struct Images {
    first: usize,
    count: usize,
}

/// What a thread writes besides dx.
struct Scratch<'a, L: Lane> {
    tables: &'a mut [Table<L>],
    /// The ring of rows.
    sums: &'a mut [L::Sum],
    /// A row of dy of each lane.
    lines: &'a mut [L],
    /// One pixel of these.
    pixel: &'a mut [[L; LANES]],
    /// A row of dy of each row of a lane, where it has several, and one of the pool's gradient.
    room: &'a mut [f32],
}

impl<L: Lane> StackedGradInput<L> {
    /// The kernel for so many threads.
    pub fn new(shape: BinaryGradInput, threads: usize) -> Self {
        let BinaryGradInput { ref parts, pool, source, groups, channels: [sources, targets], .. } = shape;
        let taps = parts.each.iter().enumerate();
        let taps: Vec<_> =
            taps.flat_map(|(i, part)| part.taps.iter().map(move |&(tap, place)| (i, tap, place))).collect();
        let pieces = Pieces::new(&Batch {
            rows: L::ROWS,
            images: shape.images,
            threads,
            size: parts.most,
            // A piece has as many rows of every part.
            down: if parts.each.iter().all(|part| part.size[0] == parts.most[0]) { parts.most[0] } else { 1 },
            margin: parts.margin,
            lookups: taps.len() * targets,
        });
        let columns = pieces.size[1] + parts.margin[1];
        let lines =
            GradientLines { isa: shape.isa, pool, source, groups, padded: sources.next_multiple_of(FOUR), columns };
        Self { lut: StackLut::new(shape.isa, shape.codes), lines, pieces, taps, shape }
    }

    /// What is multiplied.
    pub fn shape(&self) -> &BinaryGradInput {
        &self.shape
    }

    /// Name of the kernel.
    pub fn kernel_name(&self) -> &'static str {
        self.lut.kernel_name()
    }

    /// Bytes of one word of channels of one tap, `[panels]`.
    fn word_len(&self) -> usize {
        self.shape.channels[1].div_ceil(PANEL) * PLACES
    }

    /// Bytes of one tap of one group.
    fn tap_len(&self) -> usize {
        self.shape.channels[0].div_ceil(WORD) * self.word_len()
    }

    /// Bytes of one term, `[groups, taps, words, panels]`.
    fn term_len(&self) -> usize {
        self.shape.groups * self.taps.len() * self.tap_len()
    }

    /// Elements of the laid weights.
    pub fn laid_len(&self) -> usize {
        (self.shape.terms * self.term_len() / size_of::<u32>()).next_multiple_of(LANES)
    }

    /// Rows of dx that are summed at a time.
    fn ring(&self) -> usize {
        self.shape.parts.margin[0] + 1
    }

    /// Elements of the sums of one stack of dx.
    fn stack_len(&self) -> usize {
        StackLut::<L>::sums_len(self.shape.channels[1])
    }

    /// Elements of the sums of one row of dx of all parts, `[parts, columns, groups]` stacks.
    fn row_len(&self) -> usize {
        self.shape.parts.each.len() * self.pieces.size[1] * self.shape.groups * self.stack_len()
    }

    /// The first sum of a stack of dx in its row.
    fn stack(&self, part: usize, column: usize, group: usize) -> usize {
        ((part * self.pieces.size[1] + column) * self.shape.groups + group) * self.stack_len()
    }

    /// Elements of each part of the scratch memory.
    fn lens(&self) -> [usize; 4] {
        [TABLES_LEN, self.ring() * self.row_len(), LANES * self.lines.len(), LANES * self.lines.padded]
    }

    /// Scratch elements of a lane.
    pub fn lane_len(&self) -> usize {
        (self.lens().iter().sum::<usize>() + self.rows_len() + self.lines.pooled_len()).next_multiple_of(LANES)
    }

    /// Elements of the rows of dy of one lane, which are made apart where there are several.
    fn rows_len(&self) -> usize {
        if L::EACH == 1 { 0 } else { L::EACH * self.lines.len() }
    }

    fn scratch<'a>(&self, scratch: &'a mut [u32]) -> Scratch<'a, L> {
        let [tables, sums, lines, pixel] = self.lens();
        let (tables, scratch) = scratch.split_at_mut(tables);
        let (sums, scratch) = scratch.split_at_mut(sums);
        let (lines, scratch) = scratch.split_at_mut(lines);
        let (pixel, room) = scratch.split_at_mut(pixel);
        Scratch {
            tables: bytemuck::cast_slice_mut(tables),
            sums: bytemuck::cast_slice_mut(sums),
            lines: bytemuck::cast_slice_mut(lines),
            pixel: bytemuck::cast_slice_mut(pixel),
            room: bytemuck::cast_slice_mut(room),
        }
    }

    /// Makes the rows of dy that are read for row `row` of all pieces, if any of them lies inside; whether one does.
    fn make_lines(
        &self,
        gradient: Gradient<'_>,
        images: Images,
        (term, row): (&(Term<'_>, Option<Rounding>), usize),
        scratch: &mut Scratch<'_, L>,
    ) -> bool {
        let [first_row, first_column] = self.shape.parts.first;
        let mut places = [None; MOST_ROWS];
        for (place, [image, y, x]) in places.iter_mut().zip(self.pieces.rows(images.count)) {
            let y = (y + row).checked_add_signed(first_row).filter(|y| *y < self.shape.source[0]);
            *place = y.map(|y| ((images.first + image) * self.shape.source[0] + y, x as isize + first_column));
        }
        if places.iter().all(Option::is_none) {
            return false;
        }
        let (rows, pooled) = scratch.room.split_at_mut(self.rows_len());
        let factors = (&term.0, term.1.as_ref());
        for (lane, line) in scratch.lines.chunks_exact_mut(self.lines.len()).enumerate() {
            if L::EACH == 1 {
                self.lines.make(gradient, places[lane], factors, bytemuck::cast_slice_mut(line), pooled);
                continue;
            }
            for (i, row) in rows.chunks_exact_mut(self.lines.len()).enumerate() {
                self.lines.make(gradient, places[i * LANES + lane], factors, row, pooled);
            }
            let (first, second) = rows.split_at(self.lines.len());
            self.shape.isa.vectorize(
                #[inline(always)]
                || {
                    for (lane, (first, second)) in line.iter_mut().zip(first.iter().zip(second)) {
                        *lane = L::of([*first, *second]);
                    }
                },
            );
        }
        true
    }

    /// Adds a row of dy to the sums of the rows of dx that read it.
    fn add(&self, row: usize, places: &[u8], scratch: &mut Scratch<'_, L>) {
        let BinaryGradInput { ref parts, groups, channels: [sources, _], .. } = self.shape;
        for column in 0..self.lines.columns {
            for group in 0..groups {
                let places = &places[group * self.taps.len() * self.tap_len()..];
                let at = (column * groups + group) * self.lines.padded;
                self.lut.columns(&scratch.lines[at..], self.lines.len(), scratch.pixel);
                for (word, channels) in scratch.pixel[..sources].chunks(WORD).enumerate() {
                    let tables = &mut scratch.tables[..channels.len().div_ceil(CODES)];
                    self.lut.tables(channels.as_flattened(), LANES, tables);
                    for (&(part, _, [y, x]), places) in self.taps.iter().zip(places.chunks_exact(self.tap_len())) {
                        let size = [0, 1].map(|axis| parts.each[part].size[axis].min(self.pieces.size[axis]));
                        let place = row.checked_sub(y).zip(column.checked_sub(x));
                        let Some((y, x)) = place.filter(|&(y, x)| y < size[0] && x < size[1]) else { continue };
                        let at = y % self.ring() * self.row_len() + self.stack(part, x, group);
                        let places = &places[word * self.word_len()..];
                        self.lut.add(tables, places, &mut scratch.sums[at..][..self.stack_len()]);
                    }
                }
            }
        }
    }

    /// Writes a row of all pieces of dx.
    fn write(&self, row: usize, count: usize, sums: &[L::Sum], finish: (f32, bool), dx: &mut [f32]) {
        let BinaryGradInput { ref parts, target: [rows, columns, channels], groups, .. } = self.shape;
        let targets = self.shape.channels[1];
        let mut starts = [0; MOST_ROWS];
        for (start, [image, y, x]) in starts.iter_mut().zip(self.pieces.rows(count)) {
            *start = ((image * rows + y * parts.spread[0]) * columns + x * parts.spread[1]) * channels;
        }
        for (i, part) in parts.each.iter().enumerate().filter(|(_, part)| row < part.size[0]) {
            for x in 0..part.size[1].min(self.pieces.size[1]) {
                let live = self.pieces.live(count, x, part.size[1]);
                let (y_out, x_out) = (part.origin[0] + row * parts.spread[0], part.origin[1] + x * parts.spread[1]);
                for group in 0..groups {
                    let c = &mut dx[(y_out * columns + x_out) * channels + group * targets..];
                    let sums = &sums[self.stack(i, x, group)..][..self.stack_len()];
                    let (first, second) = starts[..live].split_at(live.min(LANES));
                    self.lut.write(sums, ([first, second], targets), finish, c);
                }
            }
        }
    }

    /// The sums of a row of dx.
    fn ring_row(&self, row: usize) -> Range<usize> {
        let start = row % self.ring() * self.row_len();
        start..start + self.row_len()
    }

    /// Lays the weights.
    pub fn lay(&self, threads: Threads, terms: &[Term<'_>], laid: &mut [u32]) {
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

    /// Makes dx.
    pub fn run<const TERMS: usize>(
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
            let scratch = &mut self.scratch(scratch);
            for (t, term) in terms.iter().enumerate() {
                let finish = (term.1.map_or(1.0, |rounding| rounding.unit), t > 0);
                let places = &laid[t * self.term_len()..][..self.term_len()];
                for row in 0..height + self.shape.parts.margin[0] {
                    if row < height {
                        scratch.sums[self.ring_row(row)].fill(bytemuck::Zeroable::zeroed());
                    }
                    if self.make_lines(gradient, images, (term, row), scratch) {
                        self.add(row, places, scratch);
                    }
                    if let Some(row) = row.checked_sub(self.shape.parts.margin[0]) {
                        self.write(row, images.count, &scratch.sums[self.ring_row(row)], finish, dx);
                    }
                }
            }
        });
    }
}
