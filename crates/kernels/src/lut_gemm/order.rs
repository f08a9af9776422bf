//! In which order floats lie that become tables.

/// Where the floats of a table stand, of which there are [`LutGemm::floats`](super::LutGemm::floats).
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Side by side: table i from the i-th so many.
    Neighbours,
    /// One below the other in rows `stride` apart, of which `columns` count: the table of column j of the i-th so many rows is number `j · each + i`.
    Columns {
        /// Columns that become tables.
        columns: usize,
        /// From one row to the next.
        stride: usize,
        /// From the tables of one column to those of the next.
        each: usize,
    },
}

impl Order {
    /// How many tables `len` floats reach to, `floats` to a table; and whether the last of them is whole.
    pub(super) fn tables(self, len: usize, floats: usize) -> (usize, bool) {
        match self {
            Self::Neighbours => (len / floats, len.is_multiple_of(floats)),
            Self::Columns { columns, stride, each } => {
                let rows = len.div_ceil(stride);
                let last = (columns.max(1) - 1) * each + rows / floats;
                (last, rows.is_multiple_of(floats) && len >= rows.max(1) * stride - stride + columns)
            }
        }
    }
}

/// The beginnings of `K` rows.
#[inline(always)]
pub(super) fn rows<const K: usize>(x: &[f32], columns: usize, stride: usize) -> [&[f32]; K] {
    // Loops here and where tables are made: the closure of an array's method is not inlined, and would miss the vector features.
    let mut rows = [&x[..0]; K];
    let mut rest = x;
    for row in &mut rows {
        *row = &rest[..columns];
        rest = rest.get(stride..).unwrap_or(&[]);
    }
    rows
}
