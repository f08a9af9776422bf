//! The words under the taps of up to [`CHUNK`] output pixels, as running parities `[depth, CHUNK]`.

use super::{CHUNK, Shape};
use binary_nets_bits::{BitLayout, Codes};
use std::ops::Range;

/// Gathers group `group` for the output pixels `pixels`, numbered along the rows of the image.
#[inline(always)]
pub(super) fn gather(shape: &Shape, image: &[u64], group: usize, pixels: Range<usize>, scratch: &mut [u64]) {
    words(shape, image, group, pixels, scratch);
    for place in 1..shape.depth {
        if shape.is_parity(place) {
            let (before, here) = scratch.split_at_mut(place * CHUNK);
            for (here, before) in here[..CHUNK].iter_mut().zip(&before[(place - 1) * CHUNK..]) {
                *here ^= before;
            }
        }
    }
}

/// The same before it is made parities.
#[inline(always)]
pub(super) fn words(shape: &Shape, image: &[u64], group: usize, pixels: Range<usize>, scratch: &mut [u64]) {
    let out_w = shape.out_size[1];
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (row, column) = (pixel / out_w, pixel % out_w);
        let columns = column..out_w.min(column + pixels.end - pixel);
        let at = pixel - pixels.start;
        pixel += columns.len();
        gather_row(shape, image, group, row, columns, at, scratch);
    }
}

/// Complements the parities behind the first, third, … pair of words.
#[inline(always)]
pub(super) fn complement(shape: &Shape, scratch: &mut [u64]) {
    for place in (2..shape.depth).step_by(4) {
        for word in &mut scratch[place * CHUNK..][..CHUNK] {
            *word = !*word;
        }
    }
}

/// Gathers the output pixels `columns` of output row `row` into the scratch columns from `at`.
#[inline(always)]
fn gather_row(
    shape: &Shape,
    image: &[u64],
    group: usize,
    row: usize,
    columns: Range<usize>,
    at: usize,
    scratch: &mut [u64],
) {
    let g = &shape.geometry;
    let pixel_words = g.groups * shape.words;
    let step = g.stride[1] * pixel_words;
    for ky in 0..g.kernel[0] {
        let row_inside = shape.inside_rows[ky].contains(&row);
        for kx in 0..g.kernel[1] {
            let tap = ky * g.kernel[1] + kx;
            let shift = shape.shift(tap);
            let inside = &shape.inside_columns[kx];
            // Scratch columns: padding up to `start`, pixels up to `end`, padding again.
            let clamp = |x: usize| x.clamp(columns.start, columns.end) - columns.start;
            let (start, end) = if row_inside { (clamp(inside.start), clamp(inside.end)) } else { (0, 0) };
            for word in 0..shape.words {
                let place = shape.place(tap, word) * CHUNK + at;
                let line = Line {
                    target: &mut scratch[place..place + columns.len()],
                    inside: start..end,
                    source: if start < end {
                        let y = row * g.stride[0] + ky * g.dilation[0] - g.padding[0];
                        let x = (columns.start + start) * g.stride[1] + kx * g.dilation[1] - g.padding[1];
                        &image[(y * g.in_size[1] + x) * pixel_words + group * shape.words + word..]
                    } else {
                        &[]
                    },
                    pad: shape.pad_word(word),
                };
                // The first tap of a word writes it, the others join.
                let write = |target: &mut u64, word: u64| *target = word;
                let join = |target: &mut u64, word: u64| *target |= word << shift;
                match (shift, step) {
                    (0, 1) => line.put(1, write),
                    (0, 2) => line.put(2, write),
                    (0, 4) => line.put(4, write),
                    (0, _) => line.put(step, write),
                    (_, 1) => line.put(1, join),
                    (_, _) => line.put(step, join),
                }
            }
        }
    }
}

/// One word of the scratch for a run of output pixels.
struct Line<'a> {
    target: &'a mut [u64],
    /// The pixels whose tap lies inside the image.
    inside: Range<usize>,
    /// From the first of them on.
    source: &'a [u64],
    /// What all others read.
    pad: u64,
}

impl Line<'_> {
    /// Puts every `step`th word of the source. A constant step becomes vector code.
    #[inline(always)]
    fn put(self, step: usize, put: impl Fn(&mut u64, u64)) {
        let (before, rest) = self.target.split_at_mut(self.inside.start);
        let (pixels, after) = rest.split_at_mut(self.inside.len());
        for (target, source) in pixels.iter_mut().zip(self.source.chunks(step)) {
            put(target, source[0]);
        }
        for target in before.iter_mut().chain(after) {
            put(target, self.pad);
        }
    }
}

impl Shape {
    /// Word `word` of a pixel outside the image. A 0 among ±1 codes is gathered as +1 and corrected afterwards.
    fn pad_word(&self, word: usize) -> u64 {
        match (self.codes, self.pad_value) {
            (Codes::Step, 1) => BitLayout { rows: 1, groups: 1, channels: self.geometry.in_channels }.valid_bits(word),
            _ => 0,
        }
    }
}
