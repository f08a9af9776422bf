//! The sums that four floats have with four codes.

use crate::lut_gemm::ENTRIES;
use crate::vector::Floats;

/// What float k is multiplied by in each entry.
const fn factors(signed: bool) -> [[f32; ENTRIES]; 4] {
    let (off, on) = if signed { (1.0, -1.0) } else { (0.0, 1.0) };
    let mut factors = [[off; ENTRIES]; 4];
    let mut i = 0;
    while i < 4 * ENTRIES {
        if ((i % ENTRIES) >> (i / ENTRIES)) & 1 == 1 {
            factors[i / ENTRIES][i % ENTRIES] = on;
        }
        i += 1;
    }
    factors
}

/// All 16 of them, `fl(fl(±a ± b) + fl(±c ± d))`, of signed floats or of subsets of floats, by the bits of the entry's number.
#[inline(always)]
pub fn sums_of_four<S: Floats, const SIGNED: bool>(token: S, four: [f32; 4], table: &mut [f32]) {
    let factors = const { factors(SIGNED) };
    for (lane, entries) in table.chunks_exact_mut(S::LANES).enumerate() {
        let mut pairs = [token.splat(0.0); 2];
        for (k, x) in four.into_iter().enumerate() {
            // A product with a code is exact, so this is one addition.
            let factor = token.load(&factors[k][lane * S::LANES..]);
            pairs[k / 2] = token.mul_add(factor, token.splat(x), pairs[k / 2]);
        }
        token.store(token.mul_add(pairs[0], token.splat(1.0), pairs[1]), entries);
    }
}
