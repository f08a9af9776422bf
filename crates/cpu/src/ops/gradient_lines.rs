//! The rows of dy that the gradient of a convolution by its input reads.

use std::ops::Range;

use binary_nets_graph::Window;
use binary_nets_graph::ops::Rounding;
use binary_nets_kernels::Isa;

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

/// dy or, behind a max pool, the gradient of the pool and its index, which is empty elsewhere.
#[derive(Clone, Copy)]
pub struct Gradient<'a> {
    pub dy: &'a [f32],
    pub index: &'a [u32],
}

/// How pieces of rows of dy become numbers.
#[derive(Clone, Copy)]
pub struct GradientLines {
    pub isa: Isa,
    /// The max pool whose gradient stands for dy.
    pub pool: Option<Window>,
    /// Rows, columns and channels of dy.
    pub source: [usize; 3],
    pub groups: usize,
    /// Numbers of one group of a pixel: its channels, and zeros.
    pub padded: usize,
    /// Pixels of a piece.
    pub columns: usize,
}

impl GradientLines {
    /// Numbers of one pixel.
    fn pixel(&self) -> usize {
        self.groups * self.padded
    }

    /// Numbers of a piece.
    pub fn len(&self) -> usize {
        self.columns * self.pixel()
    }

    /// Numbers of the row of the pool's gradient above a piece.
    pub fn pooled_len(&self) -> usize {
        self.pool.map_or(0, |pool| (self.columns.div_ceil(pool.kernel[1]) + 1) * self.pixel())
    }

    /// Channels of one group.
    fn channels(&self) -> usize {
        self.source[2] / self.groups
    }

    /// A piece of a row of dy, counted over all images, from a column on, times the factors of a term and rounded; zeros are outside, and without a place everywhere. There is
    /// room for [`pooled_len`](Self::pooled_len) numbers.
    pub fn make(
        &self,
        gradient: Gradient<'_>,
        place: Option<(usize, isize)>,
        factors: (&Term<'_>, Option<&Rounding>),
        line: &mut [f32],
        pooled: &mut [f32],
    ) {
        let (row, first) = place.unwrap_or((0, self.source[1] as isize));
        let count = self.columns as isize;
        let start = (-first).clamp(0, count);
        let end = (self.source[1] as isize - first).clamp(start, count);
        let inside = [start, end].map(|column| column as usize * self.pixel());
        line[..inside[0]].fill(0.0);
        line[inside[1]..].fill(0.0);
        if start == end {
            return;
        }
        let (line, columns) = (&mut line[inside[0]..inside[1]], (first + start) as usize..(first + end) as usize);
        self.isa.vectorize(
            #[inline(always)]
            || self.make_inside(gradient, (row, columns), factors, line, pooled),
        );
    }

    /// Some pixels of a row.
    #[inline(always)]
    fn make_inside(
        &self,
        gradient: Gradient<'_>,
        (row, columns): (usize, Range<usize>),
        factors: (&Term<'_>, Option<&Rounding>),
        line: &mut [f32],
        pooled: &mut [f32],
    ) {
        if let Some(Window { kernel: [kh, kw], .. }) = self.pool {
            let first = row / kh * (self.source[1] / kw);
            let pixels = first + columns.start / kw..first + columns.end.div_ceil(kw);
            let index = &gradient.index[pixels.start * self.source[2]..];
            self.scale_pixels(gradient.dy, pixels, factors, pooled);
            let start = columns.start / kw;
            let places = columns.map(|column| (column / kw - start, (row % kh * kw + column % kw) as u32));
            self.unpool(pooled, index, places, line);
        } else {
            let first = row * self.source[1];
            self.scale_pixels(gradient.dy, first + columns.start..first + columns.end, factors, line);
        }
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
        let shape = (self.channels(), self.padded, self.groups);
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
        let (channels, padded) = (self.channels(), self.padded);
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
}

/// Writes what `finish` makes of each source channel times its factor, and of its index; groups of `channels` are padded with zeros.
#[inline(always)]
fn scale(
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
