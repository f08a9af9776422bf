//! The tile of whole numbers of −127 to 127 where bytes are looked up: M rows × N vectors of columns.
//!
//! A sum of four such numbers is 32 times a number of −16 to 15, and one of 0 to 31: each has its own table of 16 bytes, its *plane*, and eight of each add up in a byte.
//!
//! ```text
//! for each panel of B, for each M rows of A:
//!     total = 0
//!     for each segment, for each eight fours of it:
//!         lower[i, j] = Σ plane[i][0][place[j]],  upper[i, j] = Σ plane[i][1][place[j]]     in 8 bits
//!         sum += 32 · upper + lower                                                         in 16 bits
//!         before a sum could overflow: total += sum, sum = 0                                in 32 bits
//!     C = scale · total (+ C)
//! ```

use std::sync::atomic::{Ordering, compiler_fence};

use binary_nets_bits::Codes;

use super::order::rows as rows_of;
use super::totals::{widen, write};
use super::{ENTRIES, Job, MOST, MOST_CODES, Order, PANEL, Row, Table};
use crate::vector::{Bytes, Planes, PlanesOfTwo};

/// Numbers of one table: two fours, each with two planes.
pub(super) const FLOATS: usize = 2 * FOUR;

/// Codes of a column that lie in one laid word: as many fours as add up in a byte.
pub(super) const WORD: usize = 8 * FOUR;

/// Numbers that are looked up at once.
const FOUR: usize = 4;

/// Tables whose places lie in one word.
const TABLES: usize = WORD / FLOATS;

/// Bytes of one word of all columns of a panel.
const BYTES: usize = WORD / FOUR * PANEL;

/// Words whose sums fit into 16 bits.
const WORDS: usize = i16::MAX as usize / (WORD * MOST as usize);

/// Tables that are made of neighbours at a time.
const CHUNK: usize = 32;

/// Tables that are made of columns at a time.
const COLUMNS: usize = 16;

/// A whole number that is added to this has its two's complement at the end of the mantissa.
const SHIFT: f32 = 12_582_912.0;

/// Makes tables of as many eights as `x` has.
#[inline(always)]
pub(super) fn tables<S: Planes>(token: S, codes: Codes, x: &[f32], order: Order, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill::<S, true>(token, x, order, tables),
        Codes::Step => fill::<S, false>(token, x, order, tables),
    }
}

#[inline(always)]
fn fill<S: Planes, const SIGNED: bool>(token: S, x: &[f32], order: Order, tables: &mut [Table]) {
    match order {
        Order::Neighbours => {
            for (x, tables) in x.chunks(CHUNK * FLOATS).zip(tables.chunks_mut(CHUNK)) {
                // All of them first: what is stored byte by byte cannot be read as a whole at once.
                let mut numbers = [0; CHUNK * FLOATS];
                for (number, x) in numbers.iter_mut().zip(x) {
                    *number = (x + SHIFT).to_bits() as u8;
                }
                for (eight, table) in numbers.as_chunks().0.iter().zip(tables).take(x.len() / FLOATS) {
                    token.fill_planes::<SIGNED>(u64::from_le_bytes(*eight), bytemuck::cast_mut(table));
                }
            }
        }
        Order::Columns { columns, stride, each } => {
            for (i, x) in x.chunks(FLOATS * stride).enumerate() {
                let rows = rows_of::<FLOATS>(x, columns, stride);
                let mut tables = tables[i..].iter_mut().step_by(each);
                for first in (0..columns).step_by(COLUMNS) {
                    let count = COLUMNS.min(columns - first);
                    let mut fours = [[0; COLUMNS]; FLOATS / FOUR];
                    for (k, row) in rows.into_iter().enumerate() {
                        let row = &row[first..];
                        let mut padded = [0.0; COLUMNS];
                        let block = row.first_chunk().unwrap_or_else(
                            #[inline(always)]
                            || {
                                padded[..count].copy_from_slice(row);
                                &padded
                            },
                        );
                        for (four, x) in fours[k / FOUR].iter_mut().zip(block) {
                            *four |= ((x + SHIFT).to_bits() & 255) << (8 * (k % FOUR));
                        }
                    }
                    let mut eights = [0; COLUMNS];
                    for (j, eight) in eights.iter_mut().enumerate() {
                        *eight = u64::from(fours[0][j]) | u64::from(fours[1][j]) << 32;
                    }
                    for (&eight, table) in eights.iter().zip((&mut tables).take(count)) {
                        token.fill_planes::<SIGNED>(eight, bytemuck::cast_mut(table));
                    }
                }
            }
        }
    }
}

/// Lays the first [`WORD`] codes of 64 columns: the places of all columns in the first four, in the second, and so on.
#[inline(always)]
pub(super) fn lay<S: Planes>(token: S, rows: &[u64; MOST_CODES], laid: &mut [u32]) {
    let (laid, _) = bytemuck::cast_slice_mut::<u32, u8>(laid).as_chunks_mut();
    for (rows, places) in rows.as_chunks().0.iter().zip(laid) {
        token.transpose(rows, places);
    }
}

/// Elements of laid codes of one segment of `depth` tables in one panel.
pub(super) fn segment_len(depth: usize) -> usize {
    depth.div_ceil(TABLES) * BYTES / size_of::<u32>()
}

/// The whole job with tiles of `M` rows × `N` vectors of columns.
#[inline(always)]
pub(super) fn run<S: Planes, const M: usize, const N: usize>(token: S, job: &mut Job<'_>) {
    const { assert!(N * S::SUMS == PANEL && S::SUMS == <S as Bytes>::LANES, "a tile is as wide as a panel") };
    let panel = job.segments.len() * segment_len(job.depth);
    for column in (0..job.columns).step_by(PANEL) {
        let laid: &[u8] = bytemuck::cast_slice(&job.laid[column / PANEL * panel..][..panel]);
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
fn rows<S: Planes, const M: usize, const N: usize>(token: S, job: &mut Job<'_>, block: &Block<'_>) {
    let (tiles, rest) = job.rows.as_chunks();
    for rows in tiles {
        tile::<S, M, N>(token, rows, job, block);
    }
    for row in rest {
        tile::<S, 1, N>(token, &[*row], job, block);
    }
}

/// One panel.
struct Block<'a> {
    /// `[segments, words, fours, PANEL]`.
    laid: &'a [u8],
    /// The column of C that its first lane stands for.
    column: usize,
    /// How many columns count.
    columns: usize,
}

/// `M` rows of C, over one panel.
#[inline(always)]
fn tile<S: Planes, const M: usize, const N: usize>(token: S, rows: &[Row; M], job: &mut Job<'_>, block: &Block<'_>) {
    let Job { tables, segments, depth, scale, accumulate, ref mut c, .. } = *job;
    let mut totals = [[0i32; PANEL]; M];
    let mut sums = [[token.zero_i16(); N]; M];
    let mut words = 0;
    for (&segment, laid) in segments.iter().zip(block.laid.chunks_exact(depth.div_ceil(TABLES) * BYTES)) {
        let mut runs = [&tables[..0]; M];
        for (run, row) in runs.iter_mut().zip(rows) {
            *run = &tables[row.tables + segment..][..depth];
        }
        for (first, laid) in (0..).step_by(TABLES).zip(laid.as_chunks::<BYTES>().0) {
            if words == WORDS {
                widen(token, &mut sums, &mut totals);
                words = 0;
            }
            words += 1;
            // The last word has fewer.
            match runs[0].len() - first {
                1 => look_up::<S, M, N, 1>(token, &runs, first, laid, &mut sums),
                2 => look_up::<S, M, N, 2>(token, &runs, first, laid, &mut sums),
                3 => look_up::<S, M, N, 3>(token, &runs, first, laid, &mut sums),
                _ => look_up::<S, M, N, TABLES>(token, &runs, first, laid, &mut sums),
            }
        }
    }
    widen(token, &mut sums, &mut totals);
    write(&totals, rows, [block.column, block.columns], (scale, accumulate), c);
}

/// Adds what `COUNT` tables of each row have, at most those of one word.
#[inline(always)]
fn look_up<S: Planes, const M: usize, const N: usize, const COUNT: usize>(
    token: S,
    runs: &[&[Table]; M],
    first: usize,
    laid: &[u8; BYTES],
    sums: &mut [[S::I16; N]; M],
) {
    let mut tables = [&[[0.0; ENTRIES]; COUNT]; M];
    for (tables, run) in tables.iter_mut().zip(runs) {
        *tables = run[first..].first_chunk().expect("so many tables");
    }
    let mut partial = [[[token.zero_bytes(); 2]; N]; M];
    for (i, laid) in laid.as_chunks::<PANEL>().0.iter().enumerate().take(COUNT * FLOATS / FOUR) {
        let mut places = [token.zero_bytes(); N];
        for (places, laid) in places.iter_mut().zip(laid.chunks_exact(S::SUMS)) {
            *places = token.load_bytes(laid);
        }
        for (partial, tables) in partial.iter_mut().zip(tables) {
            let planes: &PlanesOfTwo = bytemuck::cast_ref(&tables[i * FOUR / FLOATS]);
            for (partial, &places) in partial.iter_mut().zip(&places) {
                for (partial, plane) in partial.iter_mut().zip(planes) {
                    *partial = token.add_bytes(*partial, token.lookup(&plane[i % (FLOATS / FOUR)], places));
                }
            }
        }
        // Or the compiler mixes tables, and runs out of registers.
        compiler_fence(Ordering::SeqCst);
    }
    for (sums, partial) in sums.iter_mut().zip(partial) {
        for (sums, [lower, upper]) in sums.iter_mut().zip(partial) {
            *sums = token.add_planes(lower, upper, *sums);
        }
    }
}
