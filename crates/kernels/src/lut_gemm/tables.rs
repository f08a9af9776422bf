//! Tables of sums.

use binary_nets_bits::Codes;

use super::FLOATS;
use crate::vector::Floats;

/// Entry i is the sum of four floats, each times the code that bit k of i stands for: for 0/1 codes the sum of a subset, for ±1 a signed sum.
pub type Table = [f32; 16];

/// The codes of float k in each entry.
const fn patterns(codes: Codes) -> [[f32; 16]; FLOATS] {
    let (off, on) = match codes {
        Codes::Sign => (1.0, -1.0),
        Codes::Step => (0.0, 1.0),
    };
    let mut patterns = [[off; 16]; FLOATS];
    let mut k = 0;
    while k < FLOATS {
        let mut i = 0;
        while i < 16 {
            if i >> k & 1 == 1 {
                patterns[k][i] = on;
            }
            i += 1;
        }
        k += 1;
    }
    patterns
}

/// Where the four floats of a table stand.
#[derive(Clone, Copy, Debug)]
pub enum Fours {
    /// Side by side: table i from the i-th four.
    Neighbours,
    /// One below the other in rows `stride` apart, of which `columns` count: the tables of column j of the i-th four rows is number `j · each + i`.
    Columns {
        /// Columns that become tables.
        columns: usize,
        /// From one row to the next.
        stride: usize,
        /// From the tables of one column to those of the next.
        each: usize,
    },
}

/// Makes tables of as many fours as `x` has.
#[inline(always)]
pub(super) fn fill<S: Floats>(token: S, codes: Codes, x: &[f32], fours: Fours, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill_with(token, &const { patterns(Codes::Sign) }, x, fours, tables),
        Codes::Step => fill_with(token, &const { patterns(Codes::Step) }, x, fours, tables),
    }
}

#[inline(always)]
fn fill_with<S: Floats>(token: S, patterns: &[[f32; 16]; FLOATS], x: &[f32], fours: Fours, tables: &mut [Table]) {
    match fours {
        Fours::Neighbours => {
            for (four, table) in x.as_chunks().0.iter().zip(tables) {
                fill_one(token, patterns, *four, table);
            }
        }
        Fours::Columns { columns, stride, each } => {
            for (i, rows) in x.chunks(FLOATS * stride).enumerate() {
                let mut rest = rows;
                let rows: [&[f32]; FLOATS] = std::array::from_fn(|_| {
                    let row = &rest[..columns];
                    rest = rest.get(stride..).unwrap_or(&[]);
                    row
                });
                for (j, table) in tables[i..].iter_mut().step_by(each).take(columns).enumerate() {
                    fill_one(token, patterns, rows.map(|row| row[j]), table);
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
