use super::Scalar;
use crate::vector::Words;

impl Words for Scalar {
    type U64 = u64;
    const LANES: usize = 1;
    const PARTIALS: usize = usize::MAX;

    #[inline(always)]
    fn splat_word(self, x: u64) -> u64 {
        x
    }

    #[inline(always)]
    fn load_words(self, x: &[u64]) -> u64 {
        x[0]
    }

    #[inline(always)]
    fn xor(self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn carry(self, first: u64, second: u64, third: u64) -> u64 {
        (first & !second) | (second & !third)
    }

    #[inline(always)]
    fn count(self, v: u64) -> u64 {
        u64::from(v.count_ones())
    }

    #[inline(always)]
    fn add_partial(self, a: u64, b: u64) -> u64 {
        a + b
    }

    #[inline(always)]
    fn widen(self, partial: u64) -> u64 {
        partial
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        a + b
    }

    #[inline(always)]
    fn store_i32(self, counts: u64, base: &[i32], factor: i32, out: &mut [i32]) {
        out[0] = base[0] + factor * counts as i32;
    }

    #[inline(always)]
    fn store_i16(self, counts: u64, base: &[i32], factor: i32, out: &mut [i16]) {
        out[0] = (base[0] + factor * counts as i32) as i16;
    }
}
