//! The tile: a stack of rows of A × four columns of B, whose sums stay in registers while a few tables are read.

use binary_nets_bits::Codes;

use super::{CODES, FOUR, LANES, Lane, PANEL, PLACES, TABLES, Table, WORD};
use crate::row::{load_row, store_row};
use crate::vector::{Floats, Stacks, Transposes};

/// Columns of a tile.
pub(super) const COLUMNS: usize = 4;

/// Tiles of a panel.
const TILES: usize = PANEL / COLUMNS;

/// What one entry adds to a place: the least power of two that leaves 32 of them in a byte.
const STEP: usize = 8;

/// Numbers that lie side by side become columns.
#[inline(always)]
pub(super) fn columns<L: Lane, S: Transposes>(token: S, (x, stride): (&[L], usize), columns: &mut [[L; LANES]]) {
    let mut lines = [&x[..0]; LANES];
    for (i, line) in lines.iter_mut().enumerate() {
        *line = &x[i * stride..][..columns.len()];
    }
    for (i, columns) in columns.as_chunks_mut::<FOUR>().0.iter_mut().enumerate() {
        let mut fours = [[L::default(); FOUR]; LANES];
        for (four, line) in fours.iter_mut().zip(lines) {
            four.copy_from_slice(&line[FOUR * i..][..FOUR]);
        }
        // A lane is as wide as a float; by value, for pairs need not lie where floats do.
        let mut transposed = [[0.0; LANES]; FOUR];
        token.columns_of(&bytemuck::cast(fours), &mut transposed);
        *columns = bytemuck::cast(transposed);
    }
}

/// Makes tables of columns that are `stride` apart.
#[inline(always)]
pub(super) fn tables<L: Lane, S: Stacks<L>>(
    token: S,
    codes: Codes,
    (x, stride): (&[L], usize),
    tables: &mut [Table<L>],
) {
    let zero = [L::default(); LANES];
    for (i, table) in tables.iter_mut().enumerate() {
        let mut columns = [&zero; CODES];
        for (k, column) in (CODES * i..).zip(&mut columns) {
            if k * stride < x.len() {
                *column = x[k * stride..].first_chunk().expect("a whole column");
            }
        }
        fill(token, codes, columns, table);
    }
}

/// All sums of five numbers of each row.
#[inline(always)]
fn fill<L: Lane, S: Stacks<L>>(token: S, codes: Codes, columns: [&[L; LANES]; CODES], table: &mut Table<L>) {
    let zero = token.zero_lanes();
    for lane in (0..LANES).step_by(S::WIDTH) {
        let mut pairs = [[zero; 4]; 2];
        for (pairs, [a, b]) in pairs.iter_mut().zip(columns.as_chunks().0) {
            let (a, b) = (token.load_lanes(&a[lane..]), token.load_lanes(&b[lane..]));
            let sum = token.add_lanes(a, b);
            *pairs = match codes {
                Codes::Sign => {
                    let [left, right] = [token.subtract_lanes(b, a), token.subtract_lanes(a, b)];
                    [sum, left, right, token.subtract_lanes(zero, sum)]
                }
                Codes::Step => [zero, a, b, sum],
            };
        }
        let last = token.load_lanes(&columns[CODES - 1][lane..]);
        let (off, on) = table.split_at_mut(1 << (CODES - 1));
        for (right, (off, on)) in pairs[1].into_iter().zip(off.chunks_exact_mut(4).zip(on.chunks_exact_mut(4))) {
            for (left, (off, on)) in pairs[0].into_iter().zip(off.iter_mut().zip(on)) {
                let four = token.add_lanes(left, right);
                let [clear, set] = match codes {
                    Codes::Sign => [token.add_lanes(four, last), token.subtract_lanes(four, last)],
                    Codes::Step => [four, token.add_lanes(four, last)],
                };
                token.store_lanes(clear, &mut off[lane..]);
                token.store_lanes(set, &mut on[lane..]);
            }
        }
    }
}

/// Lays the codes of 64 columns: for each table the places of their entries, as [`STEP`] times the number of the entry.
#[inline(always)]
pub(super) fn lay<S: Transposes>(token: S, rows: &[u64; WORD], places: &mut [u8; PLACES]) {
    for (rows, places) in rows.as_chunks::<CODES>().0.iter().zip(places.as_chunks_mut().0) {
        token.transpose(rows, places);
        for place in places {
            *place *= STEP as u8;
        }
    }
}

/// Adds to the sums of all columns.
#[inline(always)]
pub(super) fn add<L: Lane, S: Stacks<L>, const V: usize>(
    token: S,
    tables: &[Table<L>],
    places: &[u8],
    sums: &mut [L::Sum],
) {
    if let Ok(tables) = <&[Table<L>; TABLES]>::try_from(tables) {
        add_tables::<L, S, V>(token, tables, places, sums);
    } else {
        add_tables::<L, S, V>(token, tables, places, sums);
    }
}

/// The same where the compiler knows, or does not, how many tables there are.
#[inline(always)]
fn add_tables<L: Lane, S: Stacks<L>, const V: usize>(
    token: S,
    tables: &[Table<L>],
    places: &[u8],
    sums: &mut [L::Sum],
) {
    let tiles = sums.chunks_mut(TILES * COLUMNS * L::ROWS).zip(places.as_chunks::<PLACES>().0);
    for (sums, places) in tiles {
        for (tile, sums) in sums.chunks_exact_mut(COLUMNS * L::ROWS).enumerate() {
            let mut acc = [[token.zero_lanes(); V]; COLUMNS];
            for (acc, sums) in acc.iter_mut().zip(sums.chunks_exact(L::ROWS)) {
                for (i, acc) in acc.iter_mut().enumerate() {
                    *acc = token.begin(sums, i * S::WIDTH);
                }
            }
            for (table, places) in tables.iter().zip(places.as_chunks::<PANEL>().0) {
                look_up::<L, S, V>(token, table, places.as_chunks().0[tile % TILES], &mut acc);
            }
            for (acc, sums) in acc.iter().zip(sums.chunks_exact_mut(L::ROWS)) {
                for (i, acc) in acc.iter().enumerate() {
                    token.end(*acc, sums, i * S::WIDTH);
                }
            }
        }
    }
}

/// Adds an entry of a table to the sums of each column of a tile.
#[inline(always)]
fn look_up<L: Lane, S: Stacks<L>, const V: usize>(
    token: S,
    table: &Table<L>,
    places: [u8; COLUMNS],
    acc: &mut [[S::Lanes; V]; COLUMNS],
) {
    let entries = table.as_flattened();
    // Masked as one, so that nothing must be checked.
    let places = u32::from_le_bytes(places) & 0xf8f8_f8f8;
    for (i, acc) in acc.iter_mut().enumerate() {
        let entry = &entries[(places >> (8 * i)) as u8 as usize * (LANES / STEP)..][..LANES];
        for (acc, entry) in acc.iter_mut().zip(entry.chunks_exact(S::WIDTH)) {
            *acc = token.add_lanes(*acc, token.load_lanes(entry));
        }
    }
}

/// Writes the sums of a stack to rows of `c`, times `scale`, or adds them; `V` vectors are as many columns as there are lanes in a stack.
#[inline(always)]
pub(super) fn write<L: Lane, S: Transposes, const V: usize>(
    token: S,
    sums: &[L::Sum],
    (rows, columns): ([&[usize]; 2], usize),
    (scale, accumulate): (f32, bool),
    c: &mut [f32],
) {
    let [zero, scale] = [0.0, scale].map(
        #[inline(always)]
        |x| token.splat(x),
    );
    for (i, rows) in rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        for first in (0..columns).step_by(LANES) {
            let here = LANES.min(columns - first);
            let sums = &sums[first * L::ROWS..][..here.next_multiple_of(FOUR) * L::ROWS];
            let mut square = [[[0.0; FOUR]; LANES / FOUR]; LANES];
            for (k, sums) in sums.chunks_exact(FOUR * L::ROWS).enumerate() {
                let mut columns = [[0.0; LANES]; FOUR];
                for (column, sums) in columns.iter_mut().zip(sums.chunks_exact(L::ROWS)) {
                    let sums = &sums[i * LANES..][..LANES];
                    column.iter_mut().zip(sums).for_each(|(x, sum)| *x = L::float(*sum));
                }
                let mut fours = [[0.0; FOUR]; LANES];
                token.rows_of(&columns, &mut fours);
                for (row, four) in square.iter_mut().zip(fours) {
                    row[k] = four;
                }
            }
            for (row, at) in square.iter().zip(rows) {
                let c = &mut c[at + first..][..here];
                let mut start = [zero; V];
                if accumulate {
                    load_row(token, &mut start, c);
                }
                for (sum, row) in start.iter_mut().zip(row.as_flattened().chunks_exact(<S as Floats>::LANES)) {
                    // Rounded twice, as sums of whole numbers are elsewhere.
                    *sum = token.add(token.mul_add(token.load(row), scale, zero), *sum);
                }
                store_row(token, &start, c);
            }
        }
    }
}
