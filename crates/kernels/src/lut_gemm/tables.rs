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

/// Table i from `x[step · (4i + k)]`.
#[inline(always)]
pub(super) fn fill<S: Floats>(token: S, codes: Codes, x: &[f32], step: usize, tables: &mut [Table]) {
    match codes {
        Codes::Sign => fill_with(token, &const { patterns(Codes::Sign) }, x, step, tables),
        Codes::Step => fill_with(token, &const { patterns(Codes::Step) }, x, step, tables),
    }
}

#[inline(always)]
fn fill_with<S: Floats>(token: S, patterns: &[[f32; 16]; FLOATS], x: &[f32], step: usize, tables: &mut [Table]) {
    let x = &x[..(FLOATS * tables.len()).saturating_sub(1) * step + usize::from(!tables.is_empty())];
    for (i, table) in tables.iter_mut().enumerate() {
        for (lane, entries) in table.chunks_exact_mut(S::LANES).enumerate() {
            let mut sum = token.splat(0.0);
            for (k, pattern) in patterns.iter().enumerate() {
                let pattern = token.load(&pattern[lane * S::LANES..]);
                // A product with a code is exact, so this is one addition.
                sum = token.mul_add(pattern, token.splat(x[step * (FLOATS * i + k)]), sum);
            }
            token.store(sum, entries);
        }
    }
}
