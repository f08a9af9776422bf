//! The input rows under an output row, as lines with the padding between which the pixels stand.

use super::Shape;

/// A ring of lines: that of input row r stands at `r % lines`.
pub(super) struct Lines<'a, P> {
    shape: &'a Shape,
    image: &'a [u8],
    ring: &'a mut [P],
    /// The first input row that is not there yet.
    next: usize,
}

impl<'a, P: Copy + From<u8>> Lines<'a, P> {
    pub fn new(shape: &'a Shape, image: &'a [u8], ring: &'a mut [P]) -> Self {
        Self { shape, image, ring, next: 0 }
    }

    /// Copies the rows under output row `y` that the one before did not need; output rows come in ascending order.
    #[inline(always)]
    pub fn advance(&mut self, y: usize) {
        let g = &self.shape.geometry;
        let inside = |row: usize| row.saturating_sub(g.padding[0]).min(g.in_size[0]);
        let (start, end) = (inside(y * g.stride[0]), inside(y * g.stride[0] + g.span(0)));
        for row in self.next.max(start)..end {
            let len = g.in_size[1] * g.in_channels;
            let line = &mut self.ring[row % self.shape.lines * self.shape.line..][..self.shape.line];
            let (left, line) = line.split_at_mut(line.len().min(g.padding[1] * g.in_channels));
            let (pixels, right) = line.split_at_mut(line.len().min(len));
            left.fill(P::from(0));
            for (to, &from) in pixels.iter_mut().zip(&self.image[row * len..]) {
                *to = from.into();
            }
            right.fill(P::from(0));
        }
        self.next = self.next.max(end);
    }

    /// The line under kernel row `tap` of output row `y`, unless that is outside the image.
    #[inline(always)]
    pub fn under(&self, y: usize, tap: usize) -> Option<&[P]> {
        let g = &self.shape.geometry;
        let row = || y * g.stride[0] + tap * g.dilation[0] - g.padding[0];
        let inside = self.shape.inside_rows[tap].contains(&y);
        inside.then(|| &self.ring[row() % self.shape.lines * self.shape.line..][..self.shape.line])
    }
}
