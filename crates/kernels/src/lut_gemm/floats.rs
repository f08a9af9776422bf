//! The tile of floats: M rows × N vectors of columns.
//!
//! ```text
//! for each panel of B, for each M rows of A:
//!     sum = 0
//!     for each segment, for each four of it: sum[i, j] += table[i][place[j]]
//!     C = scale · sum (+ C)
//! ```

use std::sync::atomic::{Ordering, compiler_fence};

use binary_nets_bits::Codes;

use super::order::rows as rows_of;
use super::{ENTRIES, Job, MOST_CODES, Order, PANEL, Row, Table};
use crate::row::{load_row, store_row};
use crate::vector::Lookups;

/// Floats that are looked up at once.
const FOUR: usize = 4;

/// Codes of a column that lie in one laid word.
pub(super) const WORD: usize = 32;

/// Floats of one table.
pub(super) const fn floats<S: Lookups>() -> usize {
    S::FOURS * FOUR
}

/// Fours whose places lie in one word.
const FOURS: usize = WORD / FOUR;

/// Makes tables of as many fours as `x` has.
#[inline(always)]
pub(super) fn tables<S: Lookups>(token: S, codes: Codes, x: &[f32], order: Order, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill::<S, true>(token, x, order, tables),
        Codes::Step => fill::<S, false>(token, x, order, tables),
    }
}

#[inline(always)]
fn fill<S: Lookups, const SIGNED: bool>(token: S, x: &[f32], order: Order, tables: &mut [Table]) {
    let len = ENTRIES / S::FOURS;
    match order {
        Order::Neighbours => {
            let parts = tables.as_flattened_mut().chunks_exact_mut(len);
            for (four, part) in x.as_chunks().0.iter().zip(parts) {
                token.fill_table::<SIGNED>(*four, part);
            }
        }
        Order::Columns { columns, stride, each } => {
            for (i, x) in x.chunks(FOUR * stride).enumerate() {
                let rows = rows_of::<FOUR>(x, columns, stride);
                let tables = tables[i / S::FOURS..].iter_mut().step_by(each);
                for (j, table) in tables.take(columns).enumerate() {
                    let part = &mut table[i % S::FOURS * len..][..len];
                    token.fill_table::<SIGNED>([rows[0][j], rows[1][j], rows[2][j], rows[3][j]], part);
                }
            }
        }
    }
}

/// Lays the first [`WORD`] codes of 64 columns.
#[inline(always)]
pub(super) fn lay<S: Lookups>(token: S, rows: &[u64; MOST_CODES], laid: &mut [u32]) {
    token.transpose(rows, laid.first_chunk_mut().expect("a word of each column"));
}

/// Laid words of one segment of `depth` tables in one panel.
pub(super) fn segment_len<S: Lookups>(depth: usize) -> usize {
    (depth * S::FOURS).div_ceil(FOURS) * PANEL
}

/// The whole job with tiles of `M` rows × `N` vectors of columns.
#[inline(always)]
pub(super) fn run<S: Lookups, const M: usize, const N: usize>(token: S, job: &mut Job<'_>) {
    let panel = job.segments.len() * segment_len::<S>(job.depth);
    let width = N * S::LANES;
    for column in (0..job.columns).step_by(width) {
        let laid = &job.laid[column / PANEL * panel..][..panel];
        let block = Block { laid, lane: column % PANEL, column, columns: width.min(job.columns - column) };
        // A narrow last panel needs fewer vectors.
        match block.columns.div_ceil(S::LANES) {
            1 => rows::<S, M, 1>(token, job, &block),
            2 => rows::<S, M, 2>(token, job, &block),
            _ => rows::<S, M, N>(token, job, &block),
        }
    }
}

/// Neighbouring columns of one panel.
struct Block<'a> {
    /// The panel: `[segments, words, PANEL]`.
    laid: &'a [u32],
    /// The first lane of the panel that is meant.
    lane: usize,
    /// The column of C that it stands for.
    column: usize,
    /// How many there are.
    columns: usize,
}

/// All rows of C, `M` at a time.
#[inline(always)]
fn rows<S: Lookups, const M: usize, const N: usize>(token: S, job: &mut Job<'_>, block: &Block<'_>) {
    for rows in job.rows.chunks(M) {
        // `M` is at most 6.
        match rows.len() {
            1 => tile::<S, 1, N>(token, rows, job, block),
            2 => tile::<S, 2, N>(token, rows, job, block),
            3 => tile::<S, 3, N>(token, rows, job, block),
            4 => tile::<S, 4, N>(token, rows, job, block),
            5 => tile::<S, 5, N>(token, rows, job, block),
            _ => tile::<S, 6, N>(token, rows, job, block),
        }
    }
}

/// `M` rows of C, over one block.
#[inline(always)]
fn tile<S: Lookups, const M: usize, const N: usize>(token: S, rows: &[Row], job: &mut Job<'_>, block: &Block<'_>) {
    let Job { tables, segments, depth, scale, accumulate, ref mut c, .. } = *job;
    let rows: &[Row; M] = rows.try_into().expect("M rows");
    let mut acc = [[token.splat(0.0); N]; M];
    for (&segment, laid) in segments.iter().zip(block.laid.chunks_exact(segment_len::<S>(depth))) {
        let mut runs = [&[][..]; M];
        for (run, row) in runs.iter_mut().zip(rows) {
            *run = tables[row.tables + segment..][..depth].as_flattened();
        }
        for (first, laid) in (0..).step_by(FOURS).zip(laid.chunks_exact(PANEL)) {
            let mut places = [token.load_places(&laid[block.lane..]); N];
            for (places, laid) in places.iter_mut().zip(laid[block.lane..].chunks_exact(S::LANES)) {
                *places = token.load_places(laid);
            }
            // The last word has fewer.
            if first + FOURS <= depth * S::FOURS {
                look_up::<S, M, N, FOURS>(token, &runs, first, &mut places, &mut acc);
            } else {
                for at in first..depth * S::FOURS {
                    look_up::<S, M, N, 1>(token, &runs, at, &mut places, &mut acc);
                }
            }
        }
    }
    let scale = token.splat(scale);
    for (mut acc, row) in acc.into_iter().zip(rows) {
        let c = &mut c[row.out + block.column..][..block.columns];
        let mut start = [token.splat(0.0); N];
        if accumulate {
            load_row(token, &mut start, c);
        }
        for (acc, start) in acc.iter_mut().zip(start) {
            // Rounded twice, as the kernels of whole numbers do.
            let product = token.mul_add(*acc, scale, token.splat(0.0));
            *acc = token.mul_add(product, token.splat(1.0), start);
        }
        store_row(token, &acc, c);
    }
}

/// Adds the sums of `COUNT` fours of each row.
#[inline(always)]
fn look_up<S: Lookups, const M: usize, const N: usize, const COUNT: usize>(
    token: S,
    runs: &[&[f32]; M],
    first: usize,
    places: &mut [S::Places; N],
    acc: &mut [[S::F32; N]; M],
) {
    let len = ENTRIES / S::FOURS;
    let mut fours = [&[][..]; M];
    for (fours, run) in fours.iter_mut().zip(runs) {
        *fours = &run[first * len..][..COUNT * len];
    }
    for at in 0..COUNT {
        for (acc, fours) in acc.iter_mut().zip(fours) {
            let four = &fours[at * len..][..len];
            for (acc, &places) in acc.iter_mut().zip(&*places) {
                *acc = token.add_looked_up(four, places, *acc);
            }
        }
        for places in &mut *places {
            *places = token.next_places(*places);
        }
        // Or the compiler mixes tables, and runs out of registers.
        compiler_fence(Ordering::SeqCst);
    }
}
