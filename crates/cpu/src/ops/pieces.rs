//! How the pixels of a batch fall into stacks, whose rows share their look-ups.

/// What a table costs to make, in look-ups of one column: it has 32 entries, and its numbers are read and transposed.
const TABLE_COST: usize = 80;

/// A row of a stack is a piece of an image; the stack is the pixels at one place of all its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Images of a stack.
    pub images: usize,
    /// Pieces of an image, down and across.
    pub count: [usize; 2],
    /// Rows and columns of a piece; those of the last columns can reach beyond the image.
    pub size: [usize; 2],
}

/// What is to be cut.
pub struct Batch {
    /// Rows of a stack, at most.
    pub rows: usize,
    /// Images.
    pub images: usize,
    /// Threads that share them.
    pub threads: usize,
    /// Rows and columns of an image.
    pub size: [usize; 2],
    /// Pieces of an image down are a divisor of this.
    pub down: usize,
    /// Rows and columns of tables that a piece needs beyond its own.
    pub margin: [usize; 2],
    /// Look-ups of one table of a pixel.
    pub lookups: usize,
}

impl Pieces {
    /// Those that take the least time.
    pub fn new(batch: &Batch) -> Self {
        let Batch { rows: most, images, size: [rows, columns], .. } = *batch;
        let images = 1..=most.min(images.max(1));
        let all = images.flat_map(|images| {
            let down = (1..=most / images).filter(|down| batch.down.is_multiple_of(*down));
            down.flat_map(move |down| {
                let across = 1..=(most / (images * down)).min(columns.max(1));
                let cut = across.map(move |across| {
                    let size = [rows / down, columns.div_ceil(across)];
                    Self { images, count: [down, across], size }
                });
                // Every piece begins inside.
                cut.filter(move |pieces| pieces.count[1] == 1 || (pieces.count[1] - 1) * pieces.size[1] < columns)
            })
        });
        all.min_by_key(|pieces| pieces.cost(batch)).expect("one piece at least")
    }

    /// Look-ups that the busiest thread waits for.
    fn cost(&self, batch: &Batch) -> usize {
        let [rows, columns] = self.size;
        let [down, across] = batch.margin;
        let each = rows * columns * batch.lookups + (rows + down) * (columns + across) * TABLE_COST;
        batch.images.div_ceil(self.images).div_ceil(batch.threads.max(1)) * each
    }

    /// The rows of a stack of so many images: image, row and column where the piece begins. Pieces that lie side by side come last.
    pub fn rows(&self, images: usize) -> impl Iterator<Item = [usize; 3]> + use<> {
        let Self { count: [down, across], size: [rows, columns], .. } = *self;
        let starts = (0..across).flat_map(move |x| (0..down).map(move |y| [y * rows, x * columns]));
        starts.flat_map(move |[row, column]| (0..images).map(move |image| [image, row, column]))
    }

    /// How many rows of a stack of so many images have a pixel at a column of their pieces, of `columns` of the image.
    pub fn live(&self, images: usize, column: usize, columns: usize) -> usize {
        let across = columns.saturating_sub(column).div_ceil(self.size[1]);
        across.min(self.count[1]) * self.count[0] * images
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Pieces};
    use std::collections::BTreeSet;

    fn batch(images: usize, threads: usize, size: [usize; 2]) -> Batch {
        Batch { rows: 16, images, threads, size, down: size[0], margin: [2, 2], lookups: 9 * 64 }
    }

    /// Of stacks of as many images, or fewer; and of parts of as many columns, or one fewer.
    #[test]
    fn every_pixel_is_in_one_piece() {
        for images in [1, 2, 5, 16, 40] {
            for size in [[1, 1], [1, 5], [4, 4], [7, 7], [9, 5], [56, 56], [3, 100]] {
                for (rows, down) in [(16, size[0]), (16, 1), (32, size[0])] {
                    let pieces = Pieces::new(&Batch { rows, down, ..batch(images, 2, size) });
                    for here in 1..=pieces.images {
                        check(pieces, here, size);
                        check(pieces, here, [size[0], size[1] - 1]);
                    }
                    assert!(pieces.images * pieces.count[0] * pieces.count[1] <= rows);
                }
            }
        }
    }

    fn check(pieces: Pieces, images: usize, size: [usize; 2]) {
        let mut pixels = BTreeSet::new();
        for (row, column) in (0..pieces.size[0]).flat_map(|y| (0..pieces.size[1]).map(move |x| (y, x))) {
            let live = pieces.live(images, column, size[1]);
            for (i, [image, y, x]) in pieces.rows(images).enumerate() {
                assert_eq!(x + column < size[1], i < live, "{images} images of {size:?}: {pieces:?}");
                assert!(image < images && y < size[0] && x <= size[1]);
                if i < live {
                    assert!(pixels.insert([image, y + row, x + column]));
                }
            }
        }
        assert_eq!(pixels.len(), images * size[0] * size[1], "{images} images of {size:?}: {pieces:?}");
    }

    #[test]
    fn one_row_is_a_whole_image() {
        let pieces = Pieces::new(&Batch { rows: 1, ..batch(8, 1, [5, 7]) });
        assert_eq!(pieces, Pieces { images: 1, count: [1, 1], size: [5, 7] });
    }

    #[test]
    fn every_thread_has_work() {
        for (rows, threads) in [16, 32].into_iter().flat_map(|rows| [1, 2, 4, 8].map(|threads| (rows, threads))) {
            let pieces = Pieces::new(&Batch { rows, ..batch(32, threads, [32, 32]) });
            assert!(32 / pieces.images >= threads, "{rows} rows, {threads} threads: {pieces:?}");
        }
    }
}
