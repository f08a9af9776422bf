//! Sums of whole numbers, in 16 bits until they could overflow, then in 32.

use super::{PANEL, Row};
use crate::vector::Sums;

/// The totals of `M` rows of a panel.
pub(super) type Totals<const M: usize> = [[i32; PANEL]; M];

/// Moves sums to totals.
#[inline(always)]
pub(super) fn widen<S: Sums, const M: usize, const N: usize>(
    token: S,
    sums: &mut [[S::I16; N]; M],
    totals: &mut Totals<M>,
) {
    for (sums, totals) in sums.iter_mut().zip(totals) {
        for (sums, totals) in sums.iter_mut().zip(totals.chunks_exact_mut(S::SUMS)) {
            token.add_to(*sums, totals);
            *sums = token.zero_i16();
        }
    }
}

/// Writes the first `columns` totals of each row, times `scale`, from `column` on, or adds them.
#[inline(always)]
pub(super) fn write<const M: usize>(
    totals: &Totals<M>,
    rows: &[Row; M],
    [column, columns]: [usize; 2],
    (scale, accumulate): (f32, bool),
    c: &mut [f32],
) {
    for (totals, row) in totals.iter().zip(rows) {
        let c = &mut c[row.out + column..][..columns];
        for (c, &total) in c.iter_mut().zip(totals) {
            let product = scale * total as f32;
            *c = if accumulate { *c + product } else { product };
        }
    }
}
