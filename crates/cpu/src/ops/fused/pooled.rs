//! The max pool of the rows of the image's convolution, which are forgotten as soon as they are pooled.

use std::ops::Range;

use binary_nets_graph::Window;
use binary_nets_kernels::image_conv2d::Sum;
use bytemuck::Pod;

use super::source::{Chunk, Image, LINE, Source, words};
use crate::ops::affine::{Finish, Number};

/// Channels that stay in registers while the largest is looked for.
const BLOCK: usize = 16;

/// Rows of `source`, pooled.
///
/// A row is pooled along its columns as soon as it is there; of such rows a ring holds as many as a window has, which are then pooled along the columns of the map.
pub struct Pooled<T> {
    source: Image<T>,
    window: Window,
    /// What lies under the rows and the columns of the pooled map.
    under: [Vec<Under>; 2],
    /// Pooled rows of a chunk. Neighbouring chunks make the rows under both their windows twice, so there are as many as threads.
    rows: usize,
}

/// What lies under a window along one axis: a first row or column of the source, and as many taps.
#[derive(Clone, Copy)]
struct Under {
    first: usize,
    taps: usize,
}

/// The scratch memory of a lane.
struct Scratch<'s> {
    /// That of the source.
    source: &'s mut [u64],
    /// The row that comes next, and the first of the source's chunk that has begun.
    next: &'s mut [u64],
    /// A row of the source.
    row: &'s mut [f32],
    /// The rows pooled along their columns; row r stands at `r % rows of a window`.
    ring: &'s mut [f32],
}

impl<T: Sum + Pod + Number> Pooled<T> {
    pub fn new(source: Image<T>, window: Window, threads: usize) -> Self {
        let input = source.conv.geometry().out_size();
        let size = window.output(input).expect("the op's shape rule asked for a window that fits");
        let under = |axis: usize, output: usize| {
            let taps = window.taps_inside(axis, input[axis], output);
            let first = window.source(axis, input[axis], output, taps.start);
            Under { first: first.expect("the op's shape rule asked for a tap inside"), taps: taps.len() }
        };
        let under = [0, 1].map(|axis| (0..size[axis]).map(|output| under(axis, output)).collect());
        // A divisor, so that no chunk crosses images.
        let rows = (1..=size[0]).find(|rows| size[0].is_multiple_of(*rows) && rows * threads >= size[0]);
        Self { source, window, under, rows: rows.unwrap_or(size[0]) }
    }

    /// Rows and columns of the pooled map.
    fn size(&self) -> [usize; 2] {
        [self.under[0].len(), self.under[1].len()]
    }

    /// Pooled pixels of a chunk.
    pub fn pixels(&self) -> usize {
        self.rows * self.under[1].len()
    }

    fn channels(&self) -> usize {
        self.source.conv.geometry().out_channels
    }

    /// Elements of a pooled row.
    fn pooled_row(&self) -> usize {
        self.under[1].len() * self.channels()
    }

    /// Elements of a row of the source.
    fn source_row(&self) -> usize {
        self.source.conv.geometry().out_size()[1] * self.channels()
    }

    /// Rows from the first to the last of a window.
    fn span(&self) -> usize {
        (self.window.kernel[0] - 1) * self.window.dilation[0] + 1
    }

    fn split<'s>(&self, scratch: &'s mut [u64]) -> Scratch<'s> {
        let (source, rest) = scratch.split_at_mut(self.source.scratch_words());
        let (next, rest) = rest.split_at_mut(LINE);
        let (row, ring) = bytemuck::cast_slice_mut(rest).split_at_mut(self.source_row());
        Scratch { source, next, row, ring }
    }

    /// Makes row `row` under the pool of image `image`, and pools it along its columns.
    #[inline(always)]
    fn advance(&self, chunk: Chunk<'_>, scratch: &mut Scratch<'_>, image: usize, row: usize, finish: Finish<'_>) {
        let [height, width] = self.source.conv.geometry().out_size();
        let strip = self.source.strips.pixels() / width;
        let number = (image * height + row) / strip;
        let chunk = Chunk { number, first: number * strip * width, ..chunk };
        if scratch.next[1] != number as u64 {
            self.source.begin(chunk, scratch.source);
            scratch.next[1] = number as u64;
        }
        let at = row % strip * width;
        self.source.rows(chunk, scratch.source, at..at + width, finish, scratch.row);
        let (channels, distance) = (self.channels(), self.window.dilation[1]);
        let pooled = &mut scratch.ring[row % self.span() * self.pooled_row()..][..self.pooled_row()];
        for (y, &Under { first, taps }) in pooled.chunks_exact_mut(channels).zip(&self.under[1]) {
            largest(y, scratch.row, taps, |tap| (first + tap * distance) * channels);
        }
    }
}

/// The largest of some rows, number by number; the first among equals. Row r starts at `start(r)`.
#[inline(always)]
fn largest(y: &mut [f32], x: &[f32], rows: usize, start: impl Fn(usize) -> usize) {
    let larger = |y: f32, x: f32| if x > y { x } else { y };
    let (blocks, rest) = y.as_chunks_mut::<BLOCK>();
    let rest_at = blocks.len() * BLOCK;
    for (number, y) in blocks.iter_mut().enumerate() {
        let block = |row| x[start(row) + number * BLOCK..].first_chunk::<BLOCK>().expect("a whole block");
        // In registers until all rows were seen.
        let mut largest = *block(0);
        for row in 1..rows {
            for (largest, &x) in largest.iter_mut().zip(block(row)) {
                *largest = larger(*largest, x);
            }
        }
        *y = largest;
    }
    for (i, y) in (rest_at..).zip(rest) {
        *y = (0..rows).map(|row| x[start(row) + i]).reduce(larger).unwrap_or_default();
    }
}

impl<T: Sum + Pod + Number> Source for Pooled<T> {
    fn scratch_words(&self) -> usize {
        let floats = self.source_row() + self.span() * self.pooled_row();
        self.source.scratch_words() + LINE + words::<f32>(floats)
    }

    fn laid_words(&self) -> usize {
        self.source.laid_words()
    }

    fn lay(&self, inputs: &crate::io::Inputs<'_>, laid: &mut [u64]) {
        self.source.lay(inputs, laid);
    }

    fn together(&self) -> Option<usize> {
        Some(self.under[1].len())
    }

    fn begin(&self, chunk: Chunk<'_>, scratch: &mut [u64]) {
        let first = self.under[0][chunk.number * self.rows % self.under[0].len()].first;
        self.split(scratch).next[..2].copy_from_slice(&[first as u64, u64::MAX]);
    }

    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, scratch: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]) {
        let mut scratch = self.split(scratch);
        let [height, width] = self.size();
        let row = (chunk.first + pixels.start) / width;
        let (image, Under { first, taps }) = (row / height, self.under[0][row % height]);
        let distance = self.window.dilation[0];
        let end = first + (taps - 1) * distance + 1;
        for next in scratch.next[0] as usize..end {
            self.advance(chunk, &mut scratch, image, next, finish);
        }
        scratch.next[0] = scratch.next[0].max(end as u64);
        let (span, row) = (self.span(), self.pooled_row());
        largest(y, scratch.ring, taps, |tap| {
            let place = first % span + tap * distance;
            if place < span { place * row } else { (place - span) * row }
        });
    }
}
