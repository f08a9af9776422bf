use super::Scalar;
use crate::vector::Pairs;

impl Pairs for Scalar {
    /// A pair has its first number in the low half.
    type I32 = i32;
    const LANES: usize = 1;

    #[inline(always)]
    fn zero_sums(self) -> i32 {
        0
    }

    #[inline(always)]
    fn splat_pair(self, x: [i16; 2]) -> i32 {
        i32::from(x[1]) << 16 | i32::from(x[0]) & 0xffff
    }

    #[inline(always)]
    fn load_pairs(self, x: &[[i16; 2]]) -> i32 {
        self.splat_pair(x[0])
    }

    #[inline(always)]
    fn dot_pairs(self, a: i32, b: i32, sums: i32) -> i32 {
        let low = |pair: i32| i32::from(pair as i16);
        sums.wrapping_add(low(a) * low(b)).wrapping_add((a >> 16) * (b >> 16))
    }

    #[inline(always)]
    fn store_sums(self, sums: i32, out: &mut [i32]) {
        out[0] = sums;
    }
}
