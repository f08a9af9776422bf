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

/// Tables in two directions: table (i, j) from four floats `step` apart.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// How many tables there are along i and j.
    pub counts: [usize; 2],
    /// From one table's floats to the next's, along i and j.
    pub floats: [usize; 2],
    /// From one table to the next, along i and j.
    pub tables: [usize; 2],
    /// From one float of a table to the next.
    pub step: usize,
}

/// Makes the tables of a grid.
#[inline(always)]
pub(super) fn fill<S: Floats>(token: S, codes: Codes, x: &[f32], grid: &Grid, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill_with(token, &const { patterns(Codes::Sign) }, x, grid, tables),
        Codes::Step => fill_with(token, &const { patterns(Codes::Step) }, x, grid, tables),
    }
}

#[inline(always)]
fn fill_with<S: Floats>(token: S, patterns: &[[f32; 16]; FLOATS], x: &[f32], grid: &Grid, tables: &mut [Table]) {
    for i in 0..grid.counts[0] {
        for j in 0..grid.counts[1] {
            let first = i * grid.floats[0] + j * grid.floats[1];
            let x = &x[first..=first + (FLOATS - 1) * grid.step];
            let table = &mut tables[i * grid.tables[0] + j * grid.tables[1]];
            for (lane, entries) in table.chunks_exact_mut(S::LANES).enumerate() {
                let mut sum = token.splat(0.0);
                for (k, pattern) in patterns.iter().enumerate() {
                    let pattern = token.load(&pattern[lane * S::LANES..]);
                    // A product with a code is exact, so this is one addition.
                    sum = token.mul_add(pattern, token.splat(x[k * grid.step]), sum);
                }
                token.store(sum, entries);
            }
        }
    }
}
