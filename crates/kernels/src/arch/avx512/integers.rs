use super::Avx512;
use crate::vector::Integers;
use std::arch::x86_64::*;

impl Integers for Avx512 {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        let mut bits = 0;
        for start in [0, 32] {
            let (x, low, high) = (&x[start..start + 32], &low[start..start + 32], &high[start..start + 32]);
            // SAFETY: `self` proves AVX-512 BW; the slices have 32 elements.
            let mask = unsafe {
                let x = _mm512_loadu_si512(x.as_ptr().cast());
                let above = _mm512_cmple_epi16_mask(_mm512_loadu_si512(low.as_ptr().cast()), x);
                _mm512_mask_cmple_epi16_mask(above, x, _mm512_loadu_si512(high.as_ptr().cast()))
            };
            bits |= u64::from(mask) << start;
        }
        bits
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        let mut bits = 0;
        for start in (0..64).step_by(16) {
            let (x, low, high) = (&x[start..start + 16], &low[start..start + 16], &high[start..start + 16]);
            // SAFETY: `self` proves AVX-512; the slices have 16 elements.
            let mask = unsafe {
                let x = _mm512_loadu_si512(x.as_ptr().cast());
                let above = _mm512_cmple_epi32_mask(_mm512_loadu_si512(low.as_ptr().cast()), x);
                _mm512_mask_cmple_epi32_mask(above, x, _mm512_loadu_si512(high.as_ptr().cast()))
            };
            bits |= u64::from(mask) << start;
        }
        bits
    }
}
