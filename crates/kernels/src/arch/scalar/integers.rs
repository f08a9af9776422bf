use super::Scalar;
use crate::vector::Integers;

impl Integers for Scalar {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        (0..64).fold(0, |bits, i| bits | u64::from(low[i] <= x[i] && x[i] <= high[i]) << i)
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        (0..64).fold(0, |bits, i| bits | u64::from(low[i] <= x[i] && x[i] <= high[i]) << i)
    }
}
