//! The tile of floats: M rows × N vectors of columns.
//!
//! ```text
//! for each panel of B, for each M rows of A:
//!     sum = 0
//!     for each segment, for each table of it: sum[i, j] += table[i][place[j]]
//!     C = scale · sum (+ C)
//! ```

use std::sync::atomic::{Ordering, compiler_fence};

use binary_nets_bits::Codes;

use super::order::rows as rows_of;
use super::{ENTRIES, Job, MOST_CODES, Order, PANEL, Row, Table};
use crate::row::{load_row, store_row};
use crate::vector::{Floats, Lookups};

/// Floats of one table.
pub(super) const FLOATS: usize = 4;

/// Codes of a column that lie in one laid word.
pub(super) const WORD: usize = 32;

/// Tables whose places lie in one word.
const TABLES: usize = WORD / FLOATS;

/// The codes of float k in each entry.
const fn patterns(codes: Codes) -> [[f32; 16]; FLOATS] {
    let (off, on) = match codes {
        Codes::Sign => (1.0, -1.0),
        Codes::Step => (0.0, 1.0),
    };
    let mut patterns = [[off; 16]; FLOATS];
    let mut i = 0;
    while i < FLOATS * 16 {
        if ((i % 16) >> (i / 16)) & 1 == 1 {
            patterns[i / 16][i % 16] = on;
        }
        i += 1;
    }
    patterns
}

/// Makes tables of as many fours as `x` has.
#[inline(always)]
pub(super) fn tables<S: Floats>(token: S, codes: Codes, x: &[f32], order: Order, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill(token, &const { patterns(Codes::Sign) }, x, order, tables),
        Codes::Step => fill(token, &const { patterns(Codes::Step) }, x, order, tables),
    }
}

#[inline(always)]
fn fill<S: Floats>(token: S, patterns: &[[f32; 16]; FLOATS], x: &[f32], order: Order, tables: &mut [Table]) {
    match order {
        Order::Neighbours => {
            for (four, table) in x.as_chunks().0.iter().zip(tables) {
                fill_one(token, patterns, *four, table);
            }
        }
        Order::Columns { columns, stride, each } => {
            for (i, x) in x.chunks(FLOATS * stride).enumerate() {
                let rows = rows_of::<FLOATS>(x, columns, stride);
                for (j, table) in tables[i..].iter_mut().step_by(each).take(columns).enumerate() {
                    fill_one(token, patterns, [rows[0][j], rows[1][j], rows[2][j], rows[3][j]], table);
                }
            }
        }
    }
}

#[inline(always)]
fn fill_one<S: Floats>(token: S, patterns: &[[f32; 16]; FLOATS], four: [f32; FLOATS], table: &mut Table) {
    for (lane, entries) in table.chunks_exact_mut(S::LANES).enumerate() {
        let mut sum = token.splat(0.0);
        for (pattern, x) in patterns.iter().zip(four) {
            // A product with a code is exact, so this is one addition.
            sum = token.mul_add(token.load(&pattern[lane * S::LANES..]), token.splat(x), sum);
        }
        token.store(sum, entries);
    }
}

/// Lays the first [`WORD`] codes of 64 columns.
#[inline(always)]
pub(super) fn lay<S: Lookups>(token: S, rows: &[u64; MOST_CODES], laid: &mut [u32]) {
    token.transpose(rows, laid.first_chunk_mut().expect("a word of each column"));
}

/// Laid words of one segment of `depth` tables in one panel.
pub(super) fn segment_len(depth: usize) -> usize {
    depth.div_ceil(TABLES) * PANEL
}

/// The whole job with tiles of `M` rows × `N` vectors of columns.
#[inline(always)]
pub(super) fn run<S: Lookups, const M: usize, const N: usize>(token: S, codes: Codes, job: &mut Job<'_>) {
    match codes {
        Codes::Sign => columns::<S, true, M, N>(token, job),
        Codes::Step => columns::<S, false, M, N>(token, job),
    }
}

#[inline(always)]
fn columns<S: Lookups, const SIGNED: bool, const M: usize, const N: usize>(token: S, job: &mut Job<'_>) {
    let panel = job.segments.len() * segment_len(job.depth);
    let width = N * S::LANES;
    for column in (0..job.columns).step_by(width) {
        let laid = &job.laid[column / PANEL * panel..][..panel];
        let block = Block { laid, lane: column % PANEL, column, columns: width.min(job.columns - column) };
        // A narrow last panel needs fewer vectors.
        match block.columns.div_ceil(S::LANES) {
            1 => rows::<S, SIGNED, M, 1>(token, job, &block),
            2 => rows::<S, SIGNED, M, 2>(token, job, &block),
            _ => rows::<S, SIGNED, M, N>(token, job, &block),
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
fn rows<S: Lookups, const SIGNED: bool, const M: usize, const N: usize>(
    token: S,
    job: &mut Job<'_>,
    block: &Block<'_>,
) {
    for rows in job.rows.chunks(M) {
        // `M` is at most 6.
        match rows.len() {
            1 => tile::<S, SIGNED, 1, N>(token, rows, job, block),
            2 => tile::<S, SIGNED, 2, N>(token, rows, job, block),
            3 => tile::<S, SIGNED, 3, N>(token, rows, job, block),
            4 => tile::<S, SIGNED, 4, N>(token, rows, job, block),
            5 => tile::<S, SIGNED, 5, N>(token, rows, job, block),
            _ => tile::<S, SIGNED, 6, N>(token, rows, job, block),
        }
    }
}

/// `M` rows of C, over one block.
#[inline(always)]
fn tile<S: Lookups, const SIGNED: bool, const M: usize, const N: usize>(
    token: S,
    rows: &[Row],
    job: &mut Job<'_>,
    block: &Block<'_>,
) {
    let Job { tables, segments, depth, scale, accumulate, ref mut c, .. } = *job;
    let rows: &[Row; M] = rows.try_into().expect("M rows");
    let mut acc = [[token.splat(0.0); N]; M];
    for (&segment, laid) in segments.iter().zip(block.laid.chunks_exact(segment_len(depth))) {
        let mut runs = [&tables[..0]; M];
        for (run, row) in runs.iter_mut().zip(rows) {
            *run = &tables[row.tables + segment..][..depth];
        }
        for (first, laid) in (0..).step_by(TABLES).zip(laid.chunks_exact(PANEL)) {
            let mut places = [token.load_places(&laid[block.lane..]); N];
            for (j, places) in places.iter_mut().enumerate() {
                *places = token.load_places(&laid[block.lane + j * S::LANES..]);
            }
            // The last word has fewer.
            if first + TABLES <= depth {
                look_up::<S, SIGNED, M, N, TABLES>(token, &runs, first, &mut places, &mut acc);
            } else {
                for at in first..depth {
                    look_up::<S, SIGNED, M, N, 1>(token, &runs, at, &mut places, &mut acc);
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
            // Rounded twice, as the kernel of bytes does.
            let product = token.mul_add(*acc, scale, token.splat(0.0));
            *acc = token.mul_add(product, token.splat(1.0), start);
        }
        store_row(token, &acc, c);
    }
}

/// Adds what `COUNT` tables of each row have.
#[inline(always)]
fn look_up<S: Lookups, const SIGNED: bool, const M: usize, const N: usize, const COUNT: usize>(
    token: S,
    runs: &[&[Table]; M],
    first: usize,
    places: &mut [S::Places; N],
    acc: &mut [[S::F32; N]; M],
) {
    let mut tables = [&[[0.0; ENTRIES]; COUNT]; M];
    for (tables, run) in tables.iter_mut().zip(runs) {
        *tables = run[first..].first_chunk().expect("so many tables");
    }
    for at in 0..COUNT {
        for (acc, tables) in acc.iter_mut().zip(tables) {
            for (acc, &places) in acc.iter_mut().zip(&*places) {
                *acc = token.add_looked_up::<SIGNED>(&tables[at], places, *acc);
            }
        }
        for places in &mut *places {
            *places = token.next_places(*places);
        }
        // Or the compiler mixes tables, and runs out of registers.
        compiler_fence(Ordering::SeqCst);
    }
}
