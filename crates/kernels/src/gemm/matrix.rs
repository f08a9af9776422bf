/// A strided view of a matrix; a transpose swaps the strides.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The elements, starting with (0, 0).
    pub data: &'a [f32],
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another, `columns` elements each.
    pub fn row_major(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// The transpose of a row-major matrix of `columns` columns.
    pub fn transposed(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: 1, column_stride: columns }
    }

    /// The element of a row and a column.
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    pub(super) fn assert_holds(&self, name: &str, rows: usize, columns: usize) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
            assert!(last < self.data.len(), "{name} has {} elements, too few for {rows} × {columns}", self.data.len());
        }
    }
}

/// Packs `b: [k, n]` into panels `[ceil(n / width), k, width]`.
#[inline(always)]
pub(super) fn pack_panels(width: usize, k: usize, n: usize, b: Matrix<'_>, packed: &mut [f32]) {
    for (panel, packed) in packed.chunks_exact_mut(width * k).enumerate() {
        let first = panel * width;
        let valid = width.min(n - first);
        if b.column_stride == 1 {
            for (row, packed) in packed.chunks_exact_mut(width).enumerate() {
                packed[..valid].copy_from_slice(&b.data[row * b.row_stride + first..][..valid]);
                packed[valid..].fill(0.0);
            }
        } else {
            // Column by column, so that a transposed B is read in order.
            for column in 0..width {
                for (row, packed) in packed[column..].iter_mut().step_by(width).enumerate() {
                    *packed = if column < valid { b.at(row, first + column) } else { 0.0 };
                }
            }
        }
    }
}
