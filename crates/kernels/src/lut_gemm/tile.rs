//! The tile: M rows × N vectors of columns, one chain of additions per element.
//!
//! ```text
//! for each panel of B, for each M rows of A:
//!     acc = accumulating ? C : 0
//!     for each segment, for each table of it: acc[i, j] += table[i][place[j]]
//!     C = acc
//! ```

use binary_nets_bits::Codes;

use super::{FLOATS, Job, LutGemm, PANEL, Row, WORD};
use crate::row::{load_row, store_row};
use crate::vector::Lookups;

/// Tables whose places lie in one word.
const TABLES: usize = WORD / FLOATS;

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
    let panel = job.segments.len() * LutGemm::segment_words(job.depth);
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
    let Job { tables, segments, depth, accumulate, ref mut c, .. } = *job;
    let rows: &[Row; M] = rows.try_into().expect("M rows");
    let mut acc = [[token.splat(0.0); N]; M];
    if accumulate {
        for (acc, row) in acc.iter_mut().zip(rows) {
            load_row(token, acc, &c[row.out + block.column..][..block.columns]);
        }
    }
    for (&segment, laid) in segments.iter().zip(block.laid.chunks_exact(LutGemm::segment_words(depth))) {
        let mut runs = [&tables[..0]; M];
        for (run, row) in runs.iter_mut().zip(rows) {
            *run = &tables[row.tables + segment..][..depth];
        }
        for (word, laid) in laid.chunks_exact(PANEL).enumerate() {
            let mut places = [token.load_places(&laid[block.lane..]); N];
            for (j, places) in places.iter_mut().enumerate() {
                *places = token.load_places(&laid[block.lane + j * S::LANES..]);
            }
            for at in word * TABLES..depth.min((word + 1) * TABLES) {
                for (acc, run) in acc.iter_mut().zip(runs) {
                    for (acc, places) in acc.iter_mut().zip(places) {
                        *acc = token.add_looked_up::<SIGNED>(&run[at], places, *acc);
                    }
                }
                for places in &mut places {
                    *places = token.next_places(*places);
                }
            }
        }
    }
    for (acc, row) in acc.iter().zip(rows) {
        store_row(token, acc, &mut c[row.out + block.column..][..block.columns]);
    }
}
