//! The input rows under an output row, as lines with the padding between which the pixels stand.

use super::Shape;

/// A ring of lines: that of input row r stands at `r % lines`.
pub(super) struct Lines<'a, P> {
    shape: &'a Shape,
    image: &'a [u8],
    ring: &'a mut [P],
    /// The first input row that is not there yet.
    next: usize,
    /// The place in the ring of the first row under the output row.
    first: usize,
}

impl<'a, P: Copy + From<u8>> Lines<'a, P> {
    pub fn new(shape: &'a Shape, image: &'a [u8], ring: &'a mut [P]) -> Self {
        Self { shape, image, ring, next: 0, first: 0 }
    }

    /// Copies the rows under output row `y` that the one before did not need; output rows come in ascending order.
    #[inline(always)]
    pub fn advance(&mut self, y: usize) {
        let (g, lines) = (&self.shape.geometry, self.shape.lines);
        // The row may lie above the image.
        self.first = (y * g.stride[0] + g.padding[0].next_multiple_of(lines) - g.padding[0]) % lines;
        let inside = |row: usize| row.saturating_sub(g.padding[0]).min(g.in_size[0]);
        let (start, end) = (inside(y * g.stride[0]), inside(y * g.stride[0] + g.span(0)));
        for row in self.next.max(start)..end {
            let len = g.in_size[1] * g.in_channels;
            let line = &mut self.ring[row % lines * self.shape.line..][..self.shape.line];
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

    /// The line under kernel row `tap` of output row `y`, to which the ring has advanced, unless that is outside the image.
    #[inline(always)]
    pub fn under(&self, y: usize, tap: usize) -> Option<&[P]> {
        if !self.shape.inside_rows[tap].contains(&y) {
            return None;
        }
        // Nearly always once around the ring at most, and a division would take as long as half a segment.
        let mut place = self.first + tap * self.shape.geometry.dilation[0];
        while place >= self.shape.lines {
            place -= self.shape.lines;
        }
        Some(&self.ring[place * self.shape.line..][..self.shape.line])
    }
}
