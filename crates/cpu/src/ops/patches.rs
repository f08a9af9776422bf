//! Patches of images as rows of a matrix, a few pixels at a time.
//!
//! A convolution and its gradients are products with a matrix whose rows are the patches under the taps. That matrix is never stored: an image
//! is placed in a frame of padding, so that no tap needs a check, and the patches of a block of pixels are gathered from there.

use std::ops::Range;

use binary_nets_graph::Window;
use binary_nets_kernels::{Isa, Matrix};

/// The taps along one axis of positions that all read the same ones.
#[derive(Clone, Debug)]
pub struct Axis {
    /// How many positions there are.
    pub positions: usize,
    /// Source pixels from one position to the next.
    pub step: usize,
    /// Taps of the kernel, and the source pixel that each reads at position 0, ascending.
    pub taps: Vec<(usize, isize)>,
}

impl Axis {
    /// The outputs of a window, which read inputs.
    pub fn forward(window: &Window, axis: usize, output: usize) -> Self {
        let source = |tap| (tap * window.dilation[axis]) as isize - window.padding[axis] as isize;
        let taps = (0..window.kernel[axis]).map(|tap| (tap, source(tap))).collect();
        Self { positions: output, step: window.stride[axis], taps }
    }

    /// The inputs of a window, which read the outputs that they contributed to: input `i` and tap `t` meet at output `(i + p − t·d)/s` if that
    /// divides. Inputs of one remainder by the stride share their taps; entry `r` stands for inputs `r, r + s, …`.
    pub fn backward(window: &Window, axis: usize, input: usize) -> Vec<Self> {
        let (stride, padding) = (window.stride[axis], window.padding[axis] as isize);
        (0..stride.min(input))
            .map(|remainder| {
                let met = |tap| remainder as isize + padding - (tap * window.dilation[axis]) as isize;
                let taps = (0..window.kernel[axis]).rev().filter(|&tap| met(tap) % stride as isize == 0);
                let taps = taps.map(|tap| (tap, met(tap) / stride as isize)).collect();
                Self { positions: (input - remainder).div_ceil(stride), step: 1, taps }
            })
            .collect()
    }
}

/// An image with room around it for the taps that lie outside.
#[derive(Clone, Debug)]
pub struct Frame {
    size: [usize; 2],
    channels: usize,
    before: [usize; 2],
    after: [usize; 2],
}

impl Frame {
    /// The frame that the taps of `rows` and of `columns` need around an image of `size` pixels.
    pub fn new(size: [usize; 2], channels: usize, [rows, columns]: [&[Axis]; 2]) -> Self {
        let (mut before, mut after) = ([0; 2], [0; 2]);
        for (i, axis) in rows.iter().map(|a| (0, a)).chain(columns.iter().map(|a| (1, a))) {
            if let (Some(&(_, first)), Some(&(_, last))) = (axis.taps.first(), axis.taps.last()) {
                let end = ((axis.positions - 1) * axis.step) as isize + last + 1;
                before[i] = before[i].max((-first).max(0) as usize);
                after[i] = after[i].max((end - size[i] as isize).max(0) as usize);
            }
        }
        Self { size, channels, before, after }
    }

    /// Elements of one framed image.
    pub fn len(&self) -> usize {
        (self.before[0] + self.size[0] + self.after[0]) * self.row()
    }

    /// Elements of one row.
    fn row(&self) -> usize {
        (self.before[1] + self.size[1] + self.after[1]) * self.channels
    }

    /// Whether there is nothing around the image.
    fn is_bare(&self) -> bool {
        [self.before, self.after] == [[0; 2]; 2]
    }

    /// Some of the images `[n, h, w, c]`, framed by zeros: in `scratch`, unless they already lie like that.
    pub fn framed<'s>(&self, x: &'s [f32], images: Range<usize>, scratch: &'s mut [f32]) -> &'s [f32] {
        let image_len = self.size[0] * self.size[1] * self.channels;
        let x = &x[images.start * image_len..images.end * image_len];
        if self.is_bare() {
            return x;
        }
        let scratch = &mut scratch[..images.len() * self.len()];
        for (x, framed) in x.chunks_exact(image_len).zip(scratch.chunks_exact_mut(self.len())) {
            self.place(x, framed);
        }
        scratch
    }

    /// Places an image in its frame.
    fn place(&self, x: &[f32], framed: &mut [f32]) {
        let (top, rest) = framed.split_at_mut(self.before[0] * self.row());
        let (image, bottom) = rest.split_at_mut(self.size[0] * self.row());
        top.fill(0.0);
        bottom.fill(0.0);
        let rows = x.chunks_exact(self.size[1] * self.channels);
        for (row, line) in rows.zip(image.chunks_exact_mut(self.row())) {
            let (left, rest) = line.split_at_mut(self.before[1] * self.channels);
            let (inside, right) = rest.split_at_mut(self.size[1] * self.channels);
            left.fill(0.0);
            right.fill(0.0);
            inside.copy_from_slice(row);
        }
    }
}

/// The patches under the taps of a grid of positions, as rows of a matrix: `[pixels, taps · channels]` for each group of channels.
#[derive(Clone, Debug)]
pub struct Patches {
    rows: usize,
    columns: usize,
    /// Elements of the framed images from one image, row and column of positions to the next.
    steps: [usize; 3],
    /// Channels of one group.
    channels: usize,
    /// Elements of one patch.
    depth: usize,
    panel: usize,
    segments: Vec<Segment>,
}

/// Neighbouring elements of a patch that stay neighbours in their panel.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Where they start in the framed image, for the first position.
    from: usize,
    /// In which panel they lie.
    panel: usize,
    /// Where they start in a row of it.
    at: usize,
    len: usize,
}

impl Patches {
    /// Patches that are gathered row by row, for a left operand.
    pub fn rows(frame: &Frame, axes: [&Axis; 2], groups: usize) -> Self {
        Self::new(frame, axes, groups, None)
    }

    /// Patches that are gathered into panels of that many columns, as a packed right operand.
    pub fn panels(frame: &Frame, axes: [&Axis; 2], groups: usize, panel: usize) -> Self {
        Self::new(frame, axes, groups, Some(panel))
    }

    fn new(frame: &Frame, [rows, columns]: [&Axis; 2], groups: usize, panel: Option<usize>) -> Self {
        let channels = frame.channels / groups;
        let pixel = |offset: isize, before: usize| (offset + before as isize) as usize;
        let taps = rows.taps.iter().flat_map(|&(_, y)| columns.taps.iter().map(move |&(_, x)| (y, x)));
        let starts =
            taps.map(|(y, x)| pixel(y, frame.before[0]) * frame.row() + pixel(x, frame.before[1]) * frame.channels);
        let mut segments: Vec<Segment> = Vec::new();
        let mut depth = 0;
        for start in starts {
            let (mut from, end) = (start, start + channels);
            while from < end {
                let (index, at) = panel.map_or((0, depth), |panel| (depth / panel, depth % panel));
                let len = panel.map_or(end - from, |panel| (end - from).min(panel - at));
                match segments.last_mut() {
                    Some(last) if last.panel == index && last.from + last.len == from => last.len += len,
                    _ => segments.push(Segment { from, panel: index, at, len }),
                }
                from += len;
                depth += len;
            }
        }
        let steps = [frame.len(), rows.step * frame.row(), columns.step * frame.channels];
        let panel = panel.unwrap_or(depth);
        Self { rows: rows.positions, columns: columns.positions, steps, channels, depth, panel, segments }
    }

    /// Positions of one image.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Elements of one patch of one group: taps · channels.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Elements of the gathered patches of that many pixels.
    pub fn len(&self, pixels: usize) -> usize {
        self.depth.next_multiple_of(self.panel.max(1)) * pixels
    }

    /// Gathers the patches of group `group` at `pixels`, counted over all framed images, as `[panels, pixels, columns]`; columns behind the
    /// last are 0.
    pub fn gather(&self, isa: Isa, framed: &[f32], group: usize, pixels: Range<usize>, out: &mut [f32]) {
        isa.vectorize(
            #[inline(always)]
            || self.gather_plain(framed, group, pixels, out),
        );
    }

    #[inline(always)]
    fn gather_plain(&self, framed: &[f32], group: usize, pixels: Range<usize>, out: &mut [f32]) {
        let panel_len = pixels.len() * self.panel;
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            let (image, place) = (pixel / self.pixels(), pixel % self.pixels());
            let (row, column) = (place / self.columns, place % self.columns);
            let count = (self.columns - column).min(pixels.end - pixel);
            let [image_step, row_step, step] = self.steps;
            let origin = image * image_step + row * row_step + column * step + group * self.channels;
            let first = (pixel - pixels.start) * self.panel;
            for s in &self.segments {
                let from = &framed[origin + s.from..];
                let to = &mut out[s.panel * panel_len + first + s.at..];
                copy(from, step, to, self.panel, s.len, count);
            }
            pixel += count;
        }
        let tail = self.depth % self.panel.max(1);
        if tail > 0 {
            for row in out[self.depth / self.panel * panel_len..].chunks_exact_mut(self.panel) {
                row[tail..].fill(0.0);
            }
        }
    }

    /// The patches of all pixels from `first` on as they lie in the framed images, where they follow each other in even steps: those of a 1×1
    /// window without stride.
    pub fn in_place<'a>(&self, framed: &'a [f32], group: usize, first: usize) -> Option<Matrix<'a>> {
        let [image, row, column] = self.steps;
        let even = row == self.columns * column && image == self.rows * row;
        match self.segments[..] {
            [segment] if even => {
                let data = &framed[first * column + group * self.channels + segment.from..];
                Some(Matrix { data, row_stride: column, column_stride: 1 })
            }
            _ => None,
        }
    }
}

/// Copies `count` times `len` elements.
#[inline(always)]
fn copy(from: &[f32], from_step: usize, to: &mut [f32], to_step: usize, len: usize, count: usize) {
    // Short copies of a length that the compiler knows need no call.
    match len {
        3 => copy_of::<3>(from, from_step, to, to_step, count),
        16 => copy_of::<16>(from, from_step, to, to_step, count),
        32 => copy_of::<32>(from, from_step, to, to_step, count),
        48 => copy_of::<48>(from, from_step, to, to_step, count),
        64 => copy_of::<64>(from, from_step, to, to_step, count),
        _ => {
            for i in 0..count {
                to[i * to_step..][..len].copy_from_slice(&from[i * from_step..][..len]);
            }
        }
    }
}

/// Copies `count` times `LEN` elements.
#[inline(always)]
fn copy_of<const LEN: usize>(from: &[f32], from_step: usize, to: &mut [f32], to_step: usize, count: usize) {
    for i in 0..count {
        to[i * to_step..][..LEN].copy_from_slice(&from[i * from_step..][..LEN]);
    }
}
