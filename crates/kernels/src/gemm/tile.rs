//! The tile: M rows × N vectors of columns, one chain of fused multiply-adds per element.
//!
//! ```text
//! for each block of k, for each panel of B, for each M rows of A:      (the panel's block stays in the second cache)
//!     acc = first block and not accumulating ? 0 : C
//!     for k in block, ascending: acc[i, j] = fma(A[i, k], B[k, j], acc[i, j])
//!     C = acc
//! ```

use super::{Job, Matrix};
use crate::row::{load_row, store_row};
use crate::vector::Floats;

/// Products between two visits of C. A panel's block has 512 × 64 elements at most, 128 KiB.
const BLOCK: usize = 512;

/// The whole job with tiles of `M` rows × `N` vectors of columns.
#[inline(always)]
pub(super) fn run<S: Floats, const M: usize, const N: usize>(token: S, job: &mut Job<'_>) {
    let (m, n, k) = job.size;
    let width = N * S::LANES;
    if k == 0 && !job.accumulate {
        for row in job.c.chunks_mut(job.c_stride).take(m) {
            row[..n].fill(0.0);
        }
    }
    for k_start in (0..k).step_by(BLOCK) {
        let depth = BLOCK.min(k - k_start);
        let accumulate = job.accumulate || k_start > 0;
        for column in (0..n).step_by(width) {
            let panel = &job.packed_b[column * k + k_start * width..][..depth * width];
            let block = Block { panel, width, k_start, column, columns: width.min(n - column), accumulate };
            // A narrow last panel needs fewer vectors.
            match block.columns.div_ceil(S::LANES) {
                1 => rows::<S, M, 1>(token, job, &block),
                2 => rows::<S, M, 2>(token, job, &block),
                _ => rows::<S, M, N>(token, job, &block),
            }
        }
    }
}

/// One block of k of one panel of B, and where it belongs.
struct Block<'a> {
    /// `[depth, width]`.
    panel: &'a [f32],
    width: usize,
    k_start: usize,
    column: usize,
    /// Columns of C: fewer than `width` in the last panel.
    columns: usize,
    accumulate: bool,
}

/// All rows of C, `M` at a time.
#[inline(always)]
fn rows<S: Floats, const M: usize, const N: usize>(token: S, job: &mut Job<'_>, block: &Block<'_>) {
    let mut row = 0;
    while row < job.size.0 {
        let c = &mut job.c[row * job.c_stride + block.column..];
        let a = &job.a.data[row * job.a.row_stride + block.k_start * job.a.column_stride..];
        let a = Matrix { data: a, ..job.a };
        let rows = M.min(job.size.0 - row);
        // `M` is at most 6.
        match rows {
            1 => tile::<S, 1, N>(token, a, block, c, job.c_stride),
            2 => tile::<S, 2, N>(token, a, block, c, job.c_stride),
            3 => tile::<S, 3, N>(token, a, block, c, job.c_stride),
            4 => tile::<S, 4, N>(token, a, block, c, job.c_stride),
            5 => tile::<S, 5, N>(token, a, block, c, job.c_stride),
            _ => tile::<S, 6, N>(token, a, block, c, job.c_stride),
        }
        row += rows;
    }
}

/// `M` rows of C, over one block.
#[inline(always)]
fn tile<S: Floats, const M: usize, const N: usize>(
    token: S,
    a: Matrix<'_>,
    block: &Block<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let (width, columns) = (block.width, block.columns);
    let depth = block.panel.len() / width;
    let panel = || block.panel.chunks_exact(width).map(|row| &row[..N * S::LANES]);
    let mut acc = [[token.splat(0.0); N]; M];
    if block.accumulate {
        for (i, acc) in acc.iter_mut().enumerate() {
            load_row(token, acc, &c[i * c_stride..][..columns]);
        }
    }
    if a.column_stride == 1 {
        let mut rows = [&a.data[..0]; M];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &a.data[i * a.row_stride..][..depth];
        }
        for (k, b) in (0..depth).zip(panel()) {
            let mut a = [0.0; M];
            for (a, row) in a.iter_mut().zip(rows) {
                *a = row[k];
            }
            multiply_add(token, a, b, &mut acc);
        }
    } else if a.row_stride == 1 {
        for (k, b) in (0..depth).zip(panel()) {
            let mut column = [0.0; M];
            column.copy_from_slice(&a.data[k * a.column_stride..][..M]);
            multiply_add(token, column, b, &mut acc);
        }
    } else {
        for (k, b) in (0..depth).zip(panel()) {
            let mut column = [0.0; M];
            for (i, x) in column.iter_mut().enumerate() {
                *x = a.at(i, k);
            }
            multiply_add(token, column, b, &mut acc);
        }
    }
    for (i, acc) in acc.iter().enumerate() {
        store_row(token, acc, &mut c[i * c_stride..][..columns]);
    }
}

/// One step of k: `acc[i, j] += a[i] · b[j]`.
#[inline(always)]
fn multiply_add<S: Floats, const M: usize, const N: usize>(
    token: S,
    a: [f32; M],
    b: &[f32],
    acc: &mut [[S::F32; N]; M],
) {
    let mut columns = [token.splat(0.0); N];
    for (j, column) in columns.iter_mut().enumerate() {
        *column = token.load(&b[j * S::LANES..]);
    }
    for (acc, a) in acc.iter_mut().zip(a) {
        let a = token.splat(a);
        for (acc, b) in acc.iter_mut().zip(columns) {
            *acc = token.mul_add(a, b, *acc);
        }
    }
}
