//! The tile of whole numbers of −127 to 127: M rows × N vectors of columns.
//!
//! ```text
//! for each panel of B, for each M rows of A:
//!     total = 0
//!     for each segment, for each table of it: sum[i, j] += table[i][place[j]]        in 16 bits
//!         before a sum could overflow: total += sum, sum = 0                          in 32 bits
//!     C = scale · total (+ C)
//! ```

use std::sync::atomic::{Ordering, compiler_fence};

use binary_nets_bits::Codes;

use super::order::rows as rows_of;
use super::totals::{widen, write};
use super::{ENTRIES, Job, MOST, MOST_CODES, Order, PANEL, Row, Table};
use crate::vector::ByteLookups;

/// Numbers of one table.
pub(super) const FLOATS: usize = 5;

/// Tables whose places lie in one word.
const TABLES: usize = 3;

/// Codes of a column that lie in one laid word.
pub(super) const WORD: usize = TABLES * FLOATS;

/// Words whose sums fit into 16 bits.
const WORDS: usize = i16::MAX as usize / (WORD * MOST as usize);

/// Tables that are made of neighbours at a time.
const CHUNK: usize = 64;

/// Tables that are made of columns at a time.
const COLUMNS: usize = 16;

/// A whole number that is added to one of −2¹⁶ to 2¹⁶ moves it to the end of the mantissa.
const SHIFT: f32 = 8_388_608.0;

/// 128 more than the number.
#[inline(always)]
fn byte(x: f32) -> u8 {
    (x + (SHIFT + 128.0)).to_bits() as u8
}

/// Two numbers in the bytes of one, each 128 more than it is.
#[inline(always)]
fn pair(low: f32, high: f32) -> u16 {
    (low + 256.0 * high + (SHIFT + 128.0 + 256.0 * 128.0)).to_bits() as u16
}

/// Makes tables of as many fives as `x` has.
#[inline(always)]
pub(super) fn tables<S: ByteLookups>(token: S, codes: Codes, x: &[f32], order: Order, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill::<S, true>(token, x, order, tables),
        Codes::Step => fill::<S, false>(token, x, order, tables),
    }
}

#[inline(always)]
fn fill<S: ByteLookups, const SIGNED: bool>(token: S, x: &[f32], order: Order, tables: &mut [Table]) {
    match order {
        Order::Neighbours => {
            for (x, tables) in x.chunks(CHUNK * FLOATS).zip(tables.chunks_mut(CHUNK)) {
                // One more than the last five, whose last pair has it.
                let mut numbers = [0; CHUNK * FLOATS + 1];
                for (number, &x) in numbers.iter_mut().zip(x) {
                    *number = byte(x);
                }
                for (i, table) in tables.iter_mut().enumerate().take(x.len() / FLOATS) {
                    let six: &[u8; FLOATS + 1] = numbers[FLOATS * i..].first_chunk().expect("one more");
                    let mut pairs = [0; FLOATS.div_ceil(2)];
                    for (pair, bytes) in pairs.iter_mut().zip(six.as_chunks().0) {
                        *pair = u16::from_le_bytes(*bytes);
                    }
                    token.fill_table::<SIGNED>(pairs, bytemuck::cast_mut(table));
                }
            }
        }
        Order::Columns { columns, stride, each } => {
            for (i, x) in x.chunks(FLOATS * stride).enumerate() {
                let rows = rows_of::<FLOATS>(x, columns, stride);
                let mut tables = tables[i..].iter_mut().step_by(each);
                for first in (0..columns).step_by(COLUMNS) {
                    if first + COLUMNS <= columns {
                        let mut block = [&[0.0; COLUMNS]; FLOATS];
                        for (block, row) in block.iter_mut().zip(rows) {
                            *block = row[first..].first_chunk().expect("a whole block");
                        }
                        fill_columns::<S, SIGNED>(token, block, &mut tables);
                    } else {
                        let mut block = [[0.0; COLUMNS]; FLOATS];
                        for (block, row) in block.iter_mut().zip(rows) {
                            block[..columns - first].copy_from_slice(&row[first..]);
                        }
                        fill_columns::<S, SIGNED>(token, block.each_ref(), (&mut tables).take(columns - first));
                    }
                }
            }
        }
    }
}

/// Makes a table of each column of five rows, as many as there are.
#[inline(always)]
fn fill_columns<'a, S: ByteLookups, const SIGNED: bool>(
    token: S,
    rows: [&[f32; COLUMNS]; FLOATS],
    tables: impl Iterator<Item = &'a mut Table>,
) {
    let mut pairs = [[0; COLUMNS]; FLOATS.div_ceil(2)];
    for (p, pairs) in pairs.iter_mut().enumerate() {
        // The last one has no other.
        let (low, high) = (rows[2 * p], rows[(2 * p + 1).min(FLOATS - 1)]);
        for k in 0..COLUMNS {
            pairs[k] = pair(low[k], high[k]);
        }
    }
    for (j, table) in (0..COLUMNS).zip(tables) {
        token.fill_table::<SIGNED>([pairs[0][j], pairs[1][j], pairs[2][j]], bytemuck::cast_mut(table));
    }
}

/// Lays the first [`WORD`] codes of 64 columns.
#[inline(always)]
pub(super) fn lay<S: ByteLookups>(token: S, rows: &[u64; MOST_CODES], laid: &mut [u32]) {
    let laid: &mut [[u16; PANEL]] = bytemuck::cast_slice_mut(laid);
    token.transpose(rows.first_chunk().expect("fewer than 32"), &mut laid[0]);
}

/// Elements of laid codes of one segment of `depth` tables in one panel: 32 bits hold the words of two columns.
pub(super) fn segment_len(depth: usize) -> usize {
    depth.div_ceil(TABLES) * PANEL / 2
}

/// The whole job with tiles of `M` rows × `N` vectors of columns.
#[inline(always)]
pub(super) fn run<S: ByteLookups, const M: usize, const N: usize>(token: S, job: &mut Job<'_>) {
    const { assert!(N * S::SUMS == PANEL, "a tile is as wide as a panel") };
    let panel = job.segments.len() * segment_len(job.depth);
    for column in (0..job.columns).step_by(PANEL) {
        let laid: &[u16] = bytemuck::cast_slice(&job.laid[column / PANEL * panel..][..panel]);
        let block = Block { laid, column, columns: PANEL.min(job.columns - column) };
        // A narrow last panel needs fewer vectors.
        match block.columns.div_ceil(S::SUMS) {
            1 => rows::<S, M, 1>(token, job, &block),
            _ => rows::<S, M, N>(token, job, &block),
        }
    }
}

/// All rows of C, `M` at a time.
#[inline(always)]
fn rows<S: ByteLookups, const M: usize, const N: usize>(token: S, job: &mut Job<'_>, block: &Block<'_>) {
    for rows in job.rows.chunks(M) {
        // `M` is at most 8.
        match rows.len() {
            1 => tile::<S, 1, N>(token, rows, job, block),
            2 => tile::<S, 2, N>(token, rows, job, block),
            3 => tile::<S, 3, N>(token, rows, job, block),
            4 => tile::<S, 4, N>(token, rows, job, block),
            5 => tile::<S, 5, N>(token, rows, job, block),
            6 => tile::<S, 6, N>(token, rows, job, block),
            7 => tile::<S, 7, N>(token, rows, job, block),
            _ => tile::<S, 8, N>(token, rows, job, block),
        }
    }
}

/// One panel.
struct Block<'a> {
    /// `[segments, words, PANEL]`.
    laid: &'a [u16],
    /// The column of C that its first lane stands for.
    column: usize,
    /// How many columns count.
    columns: usize,
}

/// `M` rows of C, over one panel.
#[inline(always)]
fn tile<S: ByteLookups, const M: usize, const N: usize>(token: S, rows: &[Row], job: &mut Job<'_>, block: &Block<'_>) {
    let Job { tables, segments, depth, scale, accumulate, ref mut c, .. } = *job;
    let rows: &[Row; M] = rows.try_into().expect("M rows");
    let mut totals = [[0i32; PANEL]; M];
    let mut sums = [[token.zero_i16(); N]; M];
    let mut words = 0;
    for (&segment, laid) in segments.iter().zip(block.laid.chunks_exact(depth.div_ceil(TABLES) * PANEL)) {
        for (first, laid) in (0..).step_by(WORDS * TABLES).zip(laid.chunks(WORDS * PANEL)) {
            let more = laid.len() / PANEL;
            if words + more > WORDS {
                widen(token, &mut sums, &mut totals);
                words = 0;
            }
            words += more;
            let mut runs = [&tables[..0]; M];
            for (run, row) in runs.iter_mut().zip(rows) {
                *run = &tables[row.tables + segment + first..][..depth.min(first + WORDS * TABLES) - first];
            }
            for (first, laid) in (0..).step_by(TABLES).zip(laid.chunks_exact(PANEL)) {
                let mut places = [token.load_places(laid); N];
                for (places, laid) in places.iter_mut().zip(laid.chunks_exact(S::SUMS)) {
                    *places = token.load_places(laid);
                }
                // The last word has fewer.
                if first + TABLES <= runs[0].len() {
                    look_up::<S, M, N, TABLES>(token, &runs, first, &mut places, &mut sums);
                } else {
                    for at in first..runs[0].len() {
                        look_up::<S, M, N, 1>(token, &runs, at, &mut places, &mut sums);
                    }
                }
            }
        }
    }
    widen(token, &mut sums, &mut totals);
    write(&totals, rows, [block.column, block.columns], (scale, accumulate), c);
}

/// Adds what `COUNT` tables of each row have.
#[inline(always)]
fn look_up<S: ByteLookups, const M: usize, const N: usize, const COUNT: usize>(
    token: S,
    runs: &[&[Table]; M],
    first: usize,
    places: &mut [S::Places; N],
    sums: &mut [[S::I16; N]; M],
) {
    let mut tables = [&[[0.0; ENTRIES]; COUNT]; M];
    for (tables, run) in tables.iter_mut().zip(runs) {
        *tables = run[first..].first_chunk().expect("so many tables");
    }
    for at in 0..COUNT {
        for (sums, tables) in sums.iter_mut().zip(tables) {
            for (sums, &places) in sums.iter_mut().zip(&*places) {
                *sums = token.add_looked_up(bytemuck::cast_ref(&tables[at]), places, *sums);
            }
        }
        for places in &mut *places {
            *places = token.next_places(*places);
        }
        // Or the compiler mixes tables, and runs out of registers.
        compiler_fence(Ordering::SeqCst);
    }
}
