//! The gradient of a convolution with weights of one bit by its input, where dy is whole numbers.
//!
//! A pixel of dy becomes tables once and serves every tap that reads it.

use binary_nets_graph::ops::Rounding;
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{ENTRIES, Job, Order, PANEL, Row, Table};

use super::binary_grad_input::{BinaryGradInput, Product, Terms};
use super::gradient_lines::{Gradient, GradientLines, Term};
use super::gradient_parts::Part;
use crate::threads::Threads;

/// Bytes of tables at a time, at most: half of a second cache.
const TABLES: usize = 256 << 10;

/// Target rows of a band.
const BAND: usize = 4;

/// Target pixels of one product, at most.
const PIXELS: usize = 48;

/// dx from dy.
pub struct ByteGradInput {
    gemm: LutGemm,
    shape: BinaryGradInput,
    lines: GradientLines,
    /// For each part the tables of each tap, from those of the target's own place on.
    segments: Vec<Vec<usize>>,
    /// Target rows of a part at a time.
    strip: usize,
    /// Columns of tables.
    columns: usize,
}

impl ByteGradInput {
    /// The kernel with that product.
    pub fn new(shape: BinaryGradInput, gemm: LutGemm) -> Self {
        let BinaryGradInput { ref parts, pool, source, groups, channels: [sources, _], .. } = shape;
        let padded = sources.next_multiple_of(gemm.floats());
        let pixel = groups * padded / gemm.floats();
        let columns = parts.most[1] + parts.margin[1];
        let row = columns * pixel;
        let strip = (TABLES / (row * size_of::<Table>()).max(1)).saturating_sub(parts.margin[0]);
        let segments = parts.each.iter().map(|part| part.taps.iter().map(|(_, [y, x])| y * row + x * pixel).collect());
        Self {
            gemm,
            lines: GradientLines { pool, source, groups, padded },
            segments: segments.collect(),
            strip: strip.clamp(1, parts.most[0].max(1)),
            columns,
            shape,
        }
    }

    /// Tables of one group of one source pixel.
    fn depth(&self) -> usize {
        self.lines.padded / self.gemm.floats()
    }

    /// Tables of one row.
    fn row_tables(&self) -> usize {
        self.columns * self.shape.groups * self.depth()
    }

    /// Words of one panel of one part.
    fn panel_len(&self, part: &Part) -> usize {
        part.taps.len() * self.gemm.segment_len(self.depth())
    }

    /// Words of one group of one part.
    fn group_len(&self, part: &Part) -> usize {
        self.shape.channels[1].div_ceil(PANEL) * self.panel_len(part)
    }

    /// Elements of the tables of a strip.
    fn tables_len(&self) -> usize {
        (self.strip + self.shape.parts.margin[0]) * self.row_tables() * ENTRIES
    }

    /// Elements of a row of dy that becomes tables.
    fn line_len(&self) -> usize {
        self.shape.source[1] * self.lines.pixel()
    }

    /// The tables of the source rows that the target rows from `first` on read, but for some that are `kept`.
    fn make_tables(
        &self,
        gradient: Gradient<'_>,
        image: usize,
        (term, rounding): (&Term<'_>, Option<&Rounding>),
        (first, kept): (usize, usize),
        line: &mut [f32],
        tables: &mut [Table],
    ) {
        let [height, width, _] = self.shape.source;
        let [first_row, first_column] = self.shape.parts.first;
        let pixel = self.shape.groups * self.depth();
        for (i, tables) in tables.chunks_exact_mut(self.row_tables()).enumerate().skip(kept) {
            let row = (first + i) as isize + first_row;
            // Columns of tables that are pixels.
            let start = (-first_column).clamp(0, self.columns as isize) as usize;
            let end = (width as isize - first_column).clamp(start as isize, self.columns as isize) as usize;
            if !(0..height as isize).contains(&row) || start == end {
                tables.fill([0.0; ENTRIES]);
                continue;
            }
            tables[..start * pixel].fill([0.0; ENTRIES]);
            tables[end * pixel..].fill([0.0; ENTRIES]);
            let column = (start as isize + first_column) as usize;
            let row = image * height + row as usize;
            let columns = column..column + end - start;
            let (line, pooled) = line.split_at_mut(self.line_len());
            let line = &mut line[..columns.len() * self.lines.pixel()];
            self.gemm.isa().vectorize(
                #[inline(always)]
                || self.lines.make(gradient, (row, columns), (term, rounding), line, pooled),
            );
            self.gemm.tables(line, Order::Neighbours, &mut tables[start * pixel..]);
        }
    }

    /// The target rows from `first` on, for one group of one part.
    #[allow(clippy::too_many_arguments, reason = "what a product is made of")]
    fn multiply(
        &self,
        (part, segments): (&Part, &[usize]),
        group: usize,
        first: usize,
        tables: &[Table],
        laid: &[u32],
        (scale, accumulate): (f32, bool),
        dx: &mut [f32],
    ) {
        let BinaryGradInput { ref parts, target: [_, columns, channels], groups, .. } = self.shape;
        let targets = self.shape.channels[1];
        let last = part.size[0].min(first + self.strip);
        let pixels = last.saturating_sub(first) * part.size[1];
        let mut rows = [Row::default(); PIXELS];
        for start in (0..pixels).step_by(PIXELS) {
            let rows = &mut rows[..PIXELS.min(pixels - start)];
            for (i, row) in (start..).zip(rows.iter_mut()) {
                let [y, x] = place(i, [last - first, part.size[1]]);
                let y_out = part.origin[0] + (first + y) * parts.spread[0];
                let x_out = part.origin[1] + x * parts.spread[1];
                *row = Row {
                    tables: y * self.row_tables() + (x * groups + group) * self.depth(),
                    out: (y_out * columns + x_out) * channels + group * targets,
                };
            }
            self.gemm.run(Job {
                tables,
                rows,
                segments,
                depth: self.depth(),
                laid,
                columns: targets,
                scale,
                c: dx,
                accumulate,
            });
        }
    }
}

impl Product for ByteGradInput {
    fn kernel_name(&self) -> &'static str {
        self.gemm.kernel_name()
    }

    /// `[terms, parts, groups, panels, taps, words, PANEL]`.
    fn laid_len(&self) -> usize {
        let parts: usize = self.shape.parts.each.iter().map(|part| self.shape.groups * self.group_len(part)).sum();
        self.shape.terms * parts
    }

    /// Tables, a row of dy, and one of the pool's gradient.
    fn lane_len(&self) -> usize {
        let pooled = self.lines.pooled_len(self.shape.source[1]);
        (self.tables_len() + self.line_len() + pooled).next_multiple_of(ENTRIES)
    }

    fn lay(&self, threads: Threads, terms: &[Term<'_>], mut laid: &mut [u32]) {
        let panels = self.shape.channels[1].div_ceil(PANEL);
        for term in terms {
            for part in self.shape.parts.each.iter().filter(|part| !part.taps.is_empty()) {
                let here;
                (here, laid) = laid.split_at_mut(self.shape.groups * self.group_len(part));
                threads.for_chunks(here, self.panel_len(part), |i, panel| {
                    let (group, word) = (i / panels, i % panels);
                    let words_of_taps = panel.chunks_exact_mut(self.gemm.segment_len(self.depth()));
                    for (&(tap, _), laid) in part.taps.iter().zip(words_of_taps) {
                        let words_of_tap = laid.chunks_exact_mut(self.gemm.laid_len());
                        for (first, laid) in (0..).step_by(self.gemm.codes()).zip(words_of_tap) {
                            let bits = |k| self.shape.bits(term, [group, first + k, tap, word]);
                            self.gemm.lay(&std::array::from_fn(bits), laid);
                        }
                    }
                });
            }
        }
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
        let BinaryGradInput { ref parts, target: [rows, columns, channels], groups, .. } = self.shape;
        let term_len = laid.len() / TERMS;
        threads.for_chunks_with(dx, rows * columns * channels, lanes, self.lane_len(), |image, dx, scratch| {
            let (tables, line) = scratch.split_at_mut(self.tables_len());
            let (tables, line) = (bytemuck::cast_slice_mut(tables), bytemuck::cast_slice_mut(line));
            for first in (0..parts.most[0]).step_by(self.strip) {
                // The last rows of tables of the strip before are the first of this one, where no other term has overwritten them.
                let kept = if first > 0 && TERMS == 1 { parts.margin[0] } else { 0 };
                let (from, len) = (self.strip * self.row_tables(), kept * self.row_tables());
                tables.copy_within(from..from + len, 0);
                for (t, (term, rounding)) in terms.iter().enumerate() {
                    self.make_tables(gradient, image, (term, rounding.as_ref()), (first, kept), line, tables);
                    let scale = rounding.map_or(1.0, |rounding| rounding.unit);
                    let mut laid = &laid[t * term_len..][..term_len];
                    for part in parts.each.iter().zip(&self.segments) {
                        for group in 0..groups {
                            let panels;
                            (panels, laid) = laid.split_at(self.group_len(part.0));
                            self.multiply((part.0, part.1), group, first, tables, panels, (scale, t > 0), dx);
                        }
                    }
                }
            }
        });
    }
}

/// Row and column of target pixel i of a strip. Pixels follow each other down the columns of bands of a few rows: the tables of neighbours of neighbours stay in the first cache.
#[inline(always)]
fn place(i: usize, [rows, columns]: [usize; 2]) -> [usize; 2] {
    let first = i / (BAND * columns) * BAND;
    let (band, i) = (BAND.min(rows - first), i % (BAND * columns));
    [first + i % band, i / band]
}

#[cfg(test)]
mod tests {
    use super::place;
    use std::collections::BTreeSet;

    #[test]
    fn every_pixel_of_a_strip_has_its_place() {
        for (rows, columns) in [(1, 5), (4, 3), (6, 4), (7, 1), (9, 2)] {
            let places: BTreeSet<[usize; 2]> = (0..rows * columns).map(|i| place(i, [rows, columns])).collect();
            assert_eq!(places.len(), rows * columns);
            assert!(places.iter().all(|&[y, x]| y < rows && x < columns), "{rows}×{columns}");
        }
    }
}
