//! The tile: sixteen rows of A × four columns of B, whose sums stay in registers while a few tables are read.

use binary_nets_bits::Codes;

use super::{FLOATS, PANEL, PLACES, ROWS, TABLES, Table, WORD};
use crate::row::{load_row, store_row};
use crate::vector::Fours;

/// Columns of a tile.
pub(super) const COLUMNS: usize = 4;

/// Tables of one word of codes.
const WORD_TABLES: usize = WORD / FLOATS;

/// Words of as many tables as are added at a time.
const WORDS: usize = TABLES / WORD_TABLES;

/// Tiles of a panel.
const TILES: usize = PANEL / COLUMNS;

/// Makes tables of rows that are `stride` apart.
#[inline(always)]
pub(super) fn tables_of_rows<S: Fours>(token: S, codes: Codes, (x, stride): (&[f32], usize), tables: &mut [Table]) {
    let mut rows = [&x[..0]; ROWS];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &x[i * stride..][..tables.len() * FLOATS];
    }
    for (i, table) in tables.iter_mut().enumerate() {
        let mut fours = [[0.0; FLOATS]; ROWS];
        for (four, row) in fours.iter_mut().zip(rows) {
            four.copy_from_slice(&row[FLOATS * i..][..FLOATS]);
        }
        let mut columns = [[0.0; ROWS]; FLOATS];
        token.columns_of(&fours, &mut columns);
        fill(token, codes, &columns, table);
    }
}

/// Makes tables of rows that stand upright in lines, which are `stride` apart.
#[inline(always)]
pub(super) fn tables_of_columns<S: Fours>(token: S, codes: Codes, (x, stride): (&[f32], usize), tables: &mut [Table]) {
    for (i, table) in tables.iter_mut().enumerate() {
        let mut columns = [[0.0; ROWS]; FLOATS];
        for (k, column) in columns.iter_mut().enumerate() {
            column.copy_from_slice(&x[(i * FLOATS + k) * stride..][..ROWS]);
        }
        fill(token, codes, &columns, table);
    }
}

/// All sums of four numbers of each row.
#[inline(always)]
fn fill<S: Fours>(token: S, codes: Codes, columns: &[[f32; ROWS]; FLOATS], table: &mut Table) {
    let [zero, one, minus] = [0.0, 1.0, -1.0].map(
        #[inline(always)]
        |x| token.splat(x),
    );
    for lane in (0..ROWS).step_by(S::LANES) {
        let mut pairs = [[zero; 4]; 2];
        for (pairs, [a, b]) in pairs.iter_mut().zip(columns.as_chunks().0) {
            let (a, b) = (token.load(&a[lane..]), token.load(&b[lane..]));
            let sum = token.mul_add(a, one, b);
            *pairs = match codes {
                Codes::Sign => {
                    let difference = token.mul_add(b, minus, a);
                    [sum, token.mul_add(difference, minus, zero), difference, token.mul_add(sum, minus, zero)]
                }
                Codes::Step => [zero, a, b, sum],
            };
        }
        for (i, entry) in table.iter_mut().enumerate() {
            token.store(token.mul_add(pairs[0][i % 4], one, pairs[1][i / 4]), &mut entry[lane..]);
        }
    }
}

/// Lays the codes of 64 columns: for each table the places of their entries, as [`ROWS`] times the number of the entry.
#[inline(always)]
pub(super) fn lay<S: Fours>(token: S, rows: &[u64; WORD], places: &mut [u8; PLACES]) {
    for (rows, places) in rows.as_chunks().0.iter().zip(places.as_chunks_mut().0) {
        token.transpose(rows, places);
        for place in places {
            *place <<= FLOATS;
        }
    }
}

/// Adds to the sums of all columns.
#[inline(always)]
pub(super) fn add<S: Fours, const V: usize>(token: S, tables: &[Table], places: &[u8], sums: &mut [f32]) {
    let panels = sums.len().div_ceil(PANEL * ROWS);
    let places = places.as_chunks::<PLACES>().0;
    let sums = sums.as_chunks_mut::<{ COLUMNS * ROWS }>().0;
    match tables.len() {
        TABLES => add_words::<S, V, WORDS>(token, tables, (places, panels), sums),
        WORD_TABLES => add_words::<S, V, 1>(token, tables, (places, panels), sums),
        _ => {
            for (i, sums) in sums.iter_mut().enumerate() {
                let mut acc = load::<S, V>(token, sums);
                for (tables, places) in tables.chunks(WORD_TABLES).zip(places.chunks(panels)) {
                    look_up(token, tables, &places[i / TILES], i % TILES, &mut acc);
                }
                store(token, &acc, sums);
            }
        }
    }
}

/// The same for `N` words of tables, whose number the compiler knows.
#[inline(always)]
fn add_words<S: Fours, const V: usize, const N: usize>(
    token: S,
    tables: &[Table],
    (places, panels): (&[[u8; PLACES]], usize),
    sums: &mut [[f32; COLUMNS * ROWS]],
) {
    let words: &[[Table; WORD_TABLES]; N] = tables.as_chunks().0.try_into().expect("N words");
    for (panel, sums) in sums.chunks_mut(TILES).enumerate() {
        let mut places_of_words = [&places[panel]; N];
        for (i, of_word) in places_of_words.iter_mut().enumerate() {
            *of_word = &places[i * panels + panel];
        }
        for (tile, sums) in sums.iter_mut().enumerate() {
            let mut acc = load::<S, V>(token, sums);
            for (tables, places) in words.iter().zip(places_of_words) {
                look_up(token, tables, places, tile, &mut acc);
            }
            store(token, &acc, sums);
        }
    }
}

#[inline(always)]
fn load<S: Fours, const V: usize>(token: S, sums: &[f32; COLUMNS * ROWS]) -> [[S::F32; V]; COLUMNS] {
    let mut acc = [[token.splat(0.0); V]; COLUMNS];
    for (acc, sums) in acc.as_flattened_mut().iter_mut().zip(sums.chunks_exact(S::LANES)) {
        *acc = token.load(sums);
    }
    acc
}

#[inline(always)]
fn store<S: Fours, const V: usize>(token: S, acc: &[[S::F32; V]; COLUMNS], sums: &mut [f32; COLUMNS * ROWS]) {
    for (acc, sums) in acc.as_flattened().iter().zip(sums.chunks_exact_mut(S::LANES)) {
        token.store(*acc, sums);
    }
}

/// Adds an entry of each table to the sums of each column of a tile.
#[inline(always)]
fn look_up<S: Fours, const V: usize>(
    token: S,
    tables: &[Table],
    places: &[u8; PLACES],
    tile: usize,
    acc: &mut [[S::F32; V]; COLUMNS],
) {
    let one = token.splat(1.0);
    for (table, places) in tables.iter().zip(places.as_chunks::<PANEL>().0) {
        let entries = table.as_flattened();
        // Masked as one, so that nothing must be checked.
        let places = u32::from_le_bytes(places.as_chunks().0[tile % TILES]) & 0xf0f0_f0f0;
        for (i, acc) in acc.iter_mut().enumerate() {
            let entry = &entries[(places >> (8 * i)) as u8 as usize..][..ROWS];
            for (acc, entry) in acc.iter_mut().zip(entry.chunks_exact(S::LANES)) {
                *acc = token.mul_add(token.load(entry), one, *acc);
            }
        }
    }
}

/// Writes the sums of a stack to rows of `c`, times `scale`, or adds them; `V` vectors are as many columns as there are rows in a stack.
#[inline(always)]
pub(super) fn write<S: Fours, const V: usize>(
    token: S,
    sums: &[f32],
    (rows, columns): (&[usize], usize),
    (scale, accumulate): (f32, bool),
    c: &mut [f32],
) {
    let [zero, one, scale] = [0.0, 1.0, scale].map(
        #[inline(always)]
        |x| token.splat(x),
    );
    let tiles = sums.as_chunks::<{ COLUMNS * ROWS }>().0;
    for (first, tiles) in (0..columns).step_by(ROWS).zip(tiles.chunks(ROWS / COLUMNS)) {
        let mut square = [[[0.0; COLUMNS]; ROWS / COLUMNS]; ROWS];
        for (i, tile) in tiles.iter().enumerate() {
            let mut fours = [[0.0; COLUMNS]; ROWS];
            token.rows_of(tile.as_chunks().0.first_chunk().expect("a tile"), &mut fours);
            for (row, four) in square.iter_mut().zip(fours) {
                row[i] = four;
            }
        }
        for (row, at) in square.iter().zip(rows) {
            let c = &mut c[at + first..][..ROWS.min(columns - first)];
            let mut start = [zero; V];
            if accumulate {
                load_row(token, &mut start, c);
            }
            for (sum, row) in start.iter_mut().zip(row.as_flattened().chunks_exact(S::LANES)) {
                // Rounded twice, as sums of whole numbers are elsewhere.
                let product = token.mul_add(token.load(row), scale, zero);
                *sum = token.mul_add(product, one, *sum);
            }
            store_row(token, &start, c);
        }
    }
}
