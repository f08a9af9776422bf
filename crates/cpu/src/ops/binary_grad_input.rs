//! The gradient of a convolution with weights of one bit by its input: dy times α times the bits, by look-up tables.
//!
//! A pixel of dy becomes tables once and serves every tap that reads it; behind a max pool, dy is made row by row of the pool's gradient and its index. Every output is an
//! ascending chain over (tap row, tap column, four channels) for each term, and the terms are added in order, whatever the strip, the batch, the threads or the instruction set.

use std::ops::Range;

use binary_nets_bits::{Codes, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{ENTRIES, Job, MOST_DEPTH, Order, PANEL, Row, Table};

use super::laid;
use super::magnitudes::{magnitudes, numbers, rounding_of, scratch_len};
use super::patches::Axis;
use crate::io::{Io, Kernel};
use crate::target::Target;
use crate::threads::Threads;

/// Bytes of tables at a time, at most: half of a second cache.
const TABLES: usize = 256 << 10;

/// Target rows of a band.
const BAND: usize = 4;

/// Target pixels of one product, at most.
const PIXELS: usize = 48;

/// dx from dy.
pub struct BinaryGradInput {
    gemm: LutGemm,
    rounding: Option<StochasticRounding>,
    /// The max pool whose gradient stands for dy.
    pool: Option<Window>,
    parts: Vec<Part>,
    /// Remainders of target rows and columns by the stride, each a part.
    spread: [usize; 2],
    /// Rows, columns and channels of dy.
    source: [usize; 3],
    /// Rows, columns and channels of dx.
    target: [usize; 3],
    groups: usize,
    /// Channels of one group of dy and of dx.
    channels: [usize; 2],
    /// Taps of the kernel.
    taps: usize,
    /// Terms of the weights.
    terms: usize,
    /// The source row and column of the first table, for target row and column 0 of every part.
    first: [isize; 2],
    /// Rows and columns of tables beyond those of the targets.
    margin: [usize; 2],
    /// Target rows of a part at a time.
    strip: usize,
    /// Columns of tables.
    columns: usize,
}

/// The target pixels of one remainder by the stride, which share their taps.
struct Part {
    /// Row and column of the first of them.
    origin: [usize; 2],
    /// How many rows and columns there are.
    size: [usize; 2],
    /// Kernel taps in the order of the segments.
    taps: Vec<usize>,
    /// The tables of each tap, from those of the target's own place on.
    segments: Vec<usize>,
}

/// dy or, behind a max pool, the gradient of the pool and its index, which is empty elsewhere.
#[derive(Clone, Copy)]
struct Gradient<'a> {
    dy: &'a [f32],
    index: &'a [u32],
}

/// Weights: a factor for each source channel times a number that bits stand for.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    /// `[source channels of all groups, taps, words of target channels]`.
    pub packed: &'a [u64],
    /// One factor for all source channels, for each group, or for each of them.
    pub factors: &'a [f32],
    /// 1, or −1 where the term is taken away.
    pub sign: f32,
}

impl BinaryGradInput {
    /// For dy `[n, h', w', o]`, or that of a `pool` whose windows tile y, and dx `[n, h, w, c]`; weights are the sum of `terms` terms, whose bits mean `codes`, and
    /// dy times their factors is rounded as `rounding` says; fails, saying why, where it cannot be.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: Option<Window>,
        [_, height, width, sources]: [usize; 4],
        [_, rows, columns, targets]: [usize; 4],
        (codes, terms): (Codes, usize),
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Result<Self, String> {
        let products = window.taps() * sources / groups;
        if rounding.is_some() && products > MOST_DEPTH {
            return Err(format!(
                "sums of {products} whole numbers are not exact, those of {MOST_DEPTH} are: compute its gradients in f32"
            ));
        }
        let gemm = LutGemm::new(target.isa, numbers(rounding), codes);
        // Pixels of y that no window of the pool reads have no gradient, as those outside have none.
        let [height, width] = pool.map_or([height, width], |pool| [height * pool.kernel[0], width * pool.kernel[1]]);
        let mut axes = [Axis::backward(window, 0, rows), Axis::backward(window, 1, columns)];
        // Taps that meet no pixel of dy would look up zeros.
        for (axes, extent) in axes.iter_mut().zip([height, width]) {
            for Axis { positions, taps, .. } in axes {
                taps.retain(|&(_, offset)| offset < extent as isize && offset + *positions as isize > 0);
            }
        }
        let offsets = |axis: usize| axes[axis].iter().flat_map(|axis| axis.taps.iter().map(|&(_, offset)| offset));
        let first = [0, 1].map(|axis| offsets(axis).min().unwrap_or(0));
        let margin = [0, 1].map(|axis| (offsets(axis).max().unwrap_or(0) - first[axis]) as usize);
        let most = [0, 1].map(|axis| axes[axis].iter().map(|axis| axis.positions).max().unwrap_or(0));
        let pixel = groups * (sources / groups).div_ceil(gemm.floats());
        let columns_of_tables = most[1] + margin[1];
        let row = columns_of_tables * pixel;
        let strip = (TABLES / (row * size_of::<Table>()).max(1)).saturating_sub(margin[0]).clamp(1, most[0].max(1));
        let mut parts = Vec::new();
        for (i, rows) in axes[0].iter().enumerate() {
            for (j, columns) in axes[1].iter().enumerate() {
                let (mut taps, mut segments) = (Vec::new(), Vec::new());
                for &(ky, y) in &rows.taps {
                    for &(kx, x) in &columns.taps {
                        taps.push(ky * window.kernel[1] + kx);
                        segments.push((y - first[0]) as usize * row + (x - first[1]) as usize * pixel);
                    }
                }
                parts.push(Part { origin: [i, j], size: [rows.positions, columns.positions], taps, segments });
            }
        }
        Ok(Self {
            gemm,
            rounding,
            pool,
            parts,
            spread: [axes[0].len(), axes[1].len()],
            source: [height, width, sources],
            target: [rows, columns, targets],
            groups,
            channels: [sources / groups, targets / groups],
            taps: window.taps(),
            terms,
            first,
            margin,
            strip,
            columns: columns_of_tables,
        })
    }

    /// The kernel: dy is input 0, the index of a pool input 3, weights are what `terms` finds.
    pub fn prepare<const TERMS: usize>(
        self,
        target: Target,
        terms: impl for<'a> Fn(&'a Io<'_>) -> [Term<'a>; TERMS] + Copy + Send + Sync + 'static,
    ) -> Prepared<Kernel> {
        assert_eq!(TERMS, self.terms, "terms");
        let sizes =
            laid::Sizes { laid: self.laid_len(), scratch: self.magnitudes_len() + target.threads * self.lane_len() };
        laid::prepare(
            self.gemm.kernel_name(),
            // No gradient is frozen, and `run` asks for whole terms.
            None,
            sizes,
            self,
            move |gradient, io, laid| gradient.lay(io.threads(), &terms(io), laid),
            move |gradient, io, laid, scratch| gradient.run(io, &terms(io), laid, scratch),
        )
    }

    /// Tables of one group of one source pixel.
    fn depth(&self) -> usize {
        self.channels[0].div_ceil(self.gemm.floats())
    }

    /// Channels of one group of one source pixel, as many as its tables hold.
    fn padded(&self) -> usize {
        self.depth() * self.gemm.floats()
    }

    /// Tables of one row.
    fn row_tables(&self) -> usize {
        self.columns * self.groups * self.depth()
    }

    /// Words of one panel of one part.
    fn panel_len(&self, part: &Part) -> usize {
        part.taps.len() * self.gemm.segment_len(self.depth())
    }

    /// Words of one group of one part.
    fn group_len(&self, part: &Part) -> usize {
        self.channels[1].div_ceil(PANEL) * self.panel_len(part)
    }

    /// Words of the laid weights, `[terms, parts, groups, panels, taps, words, PANEL]`.
    fn laid_len(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| self.groups * self.group_len(part)).sum();
        self.terms * parts
    }

    /// Elements of the tables of a strip.
    fn tables_len(&self) -> usize {
        (self.strip + self.margin[0]) * self.row_tables() * ENTRIES
    }

    /// Elements of a row of dy that becomes tables.
    fn line_len(&self) -> usize {
        self.source[1] * self.groups * self.padded()
    }

    /// Elements of a row of the pool's gradient.
    fn pooled_len(&self) -> usize {
        self.pool.map_or(0, |pool| self.line_len() / pool.kernel[1])
    }

    /// Scratch elements of a lane: tables, a row of dy, and one of the pool's gradient.
    fn lane_len(&self) -> usize {
        (self.tables_len() + self.line_len() + self.pooled_len()).next_multiple_of(ENTRIES)
    }

    fn lay(&self, threads: Threads, terms: &[Term<'_>], mut laid: &mut [u32]) {
        let [sources, targets] = self.channels;
        let panels = targets.div_ceil(PANEL);
        for term in terms {
            for part in self.parts.iter().filter(|part| !part.taps.is_empty()) {
                let here;
                (here, laid) = laid.split_at_mut(self.groups * self.group_len(part));
                threads.for_chunks(here, self.panel_len(part), |i, panel| {
                    let (group, word) = (i / panels, i % panels);
                    let words_of_taps = panel.chunks_exact_mut(self.gemm.segment_len(self.depth()));
                    for (&tap, laid) in part.taps.iter().zip(words_of_taps) {
                        let words_of_tap = laid.chunks_exact_mut(self.gemm.laid_len());
                        for (first, laid) in (0..).step_by(self.gemm.codes()).zip(words_of_tap) {
                            let row = |k: usize| ((group * sources + first + k) * self.taps + tap) * words(targets);
                            let bits = |k| if first + k < sources { term.packed[row(k) + word] } else { 0 };
                            self.gemm.lay(&std::array::from_fn(bits), laid);
                        }
                    }
                });
            }
        }
    }

    /// Scratch elements of the largest magnitudes of dy.
    fn magnitudes_len(&self) -> usize {
        scratch_len(self.rounding, self.source[2])
    }

    /// What dy times the factors of each term is rounded with.
    fn roundings<const TERMS: usize>(
        &self,
        io: &Io<'_>,
        terms: &[Term<'_>; TERMS],
        scratch: &mut [u32],
    ) -> [Option<Rounding>; TERMS] {
        let Some(rounding) = self.rounding else { return [None; TERMS] };
        let scratch = bytemuck::cast_slice_mut(scratch);
        let most = magnitudes(io.threads(), self.gemm.isa(), io.input(0), self.source[2], scratch);
        terms.each_ref().map(|term| Some(rounding_of(rounding, most, term.factors, io.run())))
    }

    fn run<const TERMS: usize>(&self, io: &Io<'_>, terms: &[Term<'_>; TERMS], laid: &[u32], scratch: &mut [u32]) {
        let (magnitudes, lanes) = scratch.split_at_mut(self.magnitudes_len());
        let roundings = self.roundings(io, terms, magnitudes);
        let (threads, dx) = (io.threads(), io.output(0));
        let gradient = Gradient { dy: io.input(0), index: self.pool.map_or(&[], |_| io.input(3)) };
        let [rows, columns, channels] = self.target;
        let most = self.parts.iter().map(|part| part.size[0]).max().unwrap_or(0);
        let term_len = laid.len() / self.terms;
        threads.for_chunks_with(dx, rows * columns * channels, lanes, self.lane_len(), |image, dx, scratch| {
            let (tables, line) = scratch.split_at_mut(self.tables_len());
            let (tables, line) = (bytemuck::cast_slice_mut(tables), bytemuck::cast_slice_mut(line));
            for first in (0..most).step_by(self.strip) {
                // The last rows of tables of the strip before are the first of this one, where no other term has overwritten them.
                let kept = if first > 0 && TERMS == 1 { self.margin[0] } else { 0 };
                let (from, len) = (self.strip * self.row_tables(), kept * self.row_tables());
                tables.copy_within(from..from + len, 0);
                for (t, (term, rounding)) in terms.iter().zip(&roundings).enumerate() {
                    self.make_tables(gradient, image, (term, rounding.as_ref()), (first, kept), line, tables);
                    let scale = rounding.map_or(1.0, |rounding| rounding.unit);
                    let mut laid = &laid[t * term_len..][..term_len];
                    for part in &self.parts {
                        for group in 0..self.groups {
                            let panels;
                            (panels, laid) = laid.split_at(self.group_len(part));
                            self.multiply(part, group, first, tables, panels, (scale, t > 0), dx);
                        }
                    }
                }
            }
        });
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
        let [height, width, _] = self.source;
        let pixel = self.groups * self.depth();
        for (i, tables) in tables.chunks_exact_mut(self.row_tables()).enumerate().skip(kept) {
            let row = (first + i) as isize + self.first[0];
            // Columns of tables that are pixels.
            let start = (-self.first[1]).clamp(0, self.columns as isize) as usize;
            let end = (width as isize - self.first[1]).clamp(start as isize, self.columns as isize) as usize;
            if !(0..height as isize).contains(&row) || start == end {
                tables.fill([0.0; ENTRIES]);
                continue;
            }
            tables[..start * pixel].fill([0.0; ENTRIES]);
            tables[end * pixel..].fill([0.0; ENTRIES]);
            let column = (start as isize + self.first[1]) as usize;
            let row = image * height + row as usize;
            let columns = column..column + end - start;
            let line = self.gemm.isa().vectorize(
                #[inline(always)]
                || self.make_line(gradient, (row, columns), (term, rounding), line),
            );
            self.gemm.tables(line, Order::Neighbours, &mut tables[start * pixel..]);
        }
    }

    /// Some pixels of a row of dy, counted over all images, times the factors of a term and rounded.
    #[inline(always)]
    fn make_line<'a>(
        &self,
        gradient: Gradient<'_>,
        (row, columns): (usize, Range<usize>),
        (term, rounding): (&Term<'_>, Option<&Rounding>),
        line: &'a mut [f32],
    ) -> &'a [f32] {
        let (line, pooled) = line.split_at_mut(self.line_len());
        let line = &mut line[..columns.len() * self.groups * self.padded()];
        if let Some(Window { kernel: [kh, kw], .. }) = self.pool {
            let first = row / kh * (self.source[1] / kw);
            let pixels = first + columns.start / kw..first + columns.end.div_ceil(kw);
            let index = &gradient.index[pixels.start * self.source[2]..];
            self.scale_pixels(gradient.dy, pixels, (term, rounding), pooled);
            let start = columns.start / kw;
            let places = columns.map(|column| (column / kw - start, (row % kh * kw + column % kw) as u32));
            self.unpool(pooled, index, places, line);
        } else {
            let first = row * self.source[1];
            self.scale_pixels(gradient.dy, first + columns.start..first + columns.end, (term, rounding), line);
        }
        line
    }

    /// Some pixels of dy or of the pool's gradient, times the factors of a term and rounded.
    #[inline(always)]
    fn scale_pixels(
        &self,
        dy: &[f32],
        pixels: Range<usize>,
        (term, rounding): (&Term<'_>, Option<&Rounding>),
        line: &mut [f32],
    ) {
        let [first, end] = [pixels.start, pixels.end].map(|pixel| pixel * self.source[2]);
        let shape = (self.channels[0], self.padded(), self.groups);
        match rounding {
            None => scale(&dy[first..end], term, shape, |g, _| g, line),
            Some(rounding) => {
                scale(&dy[first..end], term, shape, |g, i| rounding.round(g, (first + i) as u32), line);
            }
        }
    }

    /// Pixels of dy: for each the pixel of the pool's gradient above it and its tap, whose channels of that gradient it gets.
    #[inline(always)]
    fn unpool(&self, pooled: &[f32], index: &[u32], places: impl Iterator<Item = (usize, u32)>, line: &mut [f32]) {
        let (channels, padded) = (self.channels[0], self.padded());
        for (line, (pixel, tap)) in line.chunks_exact_mut(self.groups * padded).zip(places) {
            for (group, line) in line.chunks_exact_mut(padded).enumerate() {
                let group = pixel * self.groups + group;
                let (pooled, index) = (&pooled[group * padded..], &index[group * channels..]);
                let (line, rest) = line.split_at_mut(channels);
                rest.fill(0.0);
                for ((line, &dy), &chosen) in line.iter_mut().zip(pooled).zip(index) {
                    *line = if chosen == tap { dy } else { 0.0 };
                }
            }
        }
    }

    /// The target rows from `first` on, for one group of one part.
    #[allow(clippy::too_many_arguments, reason = "what a product is made of")]
    fn multiply(
        &self,
        part: &Part,
        group: usize,
        first: usize,
        tables: &[Table],
        laid: &[u32],
        (scale, accumulate): (f32, bool),
        dx: &mut [f32],
    ) {
        let [_, columns, channels] = self.target;
        let last = part.size[0].min(first + self.strip);
        let pixels = last.saturating_sub(first) * part.size[1];
        let mut rows = [Row::default(); PIXELS];
        for start in (0..pixels).step_by(PIXELS) {
            let rows = &mut rows[..PIXELS.min(pixels - start)];
            for (i, row) in (start..).zip(rows.iter_mut()) {
                let [y, x] = place(i, [last - first, part.size[1]]);
                let y_out = part.origin[0] + (first + y) * self.spread[0];
                let x_out = part.origin[1] + x * self.spread[1];
                *row = Row {
                    tables: y * self.row_tables() + (x * self.groups + group) * self.depth(),
                    out: (y_out * columns + x_out) * channels + group * self.channels[1],
                };
            }
            self.gemm.run(Job {
                tables,
                rows,
                segments: &part.segments,
                depth: self.depth(),
                laid,
                columns: self.channels[1],
                scale,
                c: dx,
                accumulate,
            });
        }
    }
}

/// Row and column of target pixel i of a strip. Pixels follow each other down the columns of bands of a few rows: the tables of neighbours of neighbours stay in the first cache.
#[inline(always)]
fn place(i: usize, [rows, columns]: [usize; 2]) -> [usize; 2] {
    let first = i / (BAND * columns) * BAND;
    let (band, i) = (BAND.min(rows - first), i % (BAND * columns));
    [first + i % band, i / band]
}

/// `finish` of each source channel times its factor and of its index; groups of `channels` are padded with zeros.
#[inline(always)]
pub fn scale(
    dy: &[f32],
    term: &Term<'_>,
    (channels, padded, groups): (usize, usize, usize),
    finish: impl Fn(f32, usize) -> f32,
    line: &mut [f32],
) {
    let Term { factors, sign, .. } = *term;
    let sources = groups * channels;
    let lines = dy.chunks_exact(channels).zip(line.chunks_exact_mut(padded));
    for (i, (dy, line)) in lines.enumerate() {
        let (group, first) = (i % groups, i * channels);
        let (line, rest) = line.split_at_mut(channels);
        rest.fill(0.0);
        let numbers = line.iter_mut().zip(dy).zip(first..);
        if factors.len() == sources {
            let factors = &factors[group * channels..][..channels];
            numbers.zip(factors).for_each(|(((line, dy), i), factor)| *line = finish(sign * factor * dy, i));
        } else {
            let factor = sign * factors[group * factors.len() / groups];
            numbers.for_each(|((line, dy), i)| *line = finish(factor * dy, i));
        }
    }
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
