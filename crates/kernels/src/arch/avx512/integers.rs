use super::Avx512;
use crate::vector::Integers;
use std::arch::x86_64::*;

impl Integers for Avx512 {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        let inside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 32]);
            // SAFETY: `self` proves AVX-512 BW; the slices have 32 elements.
            let mask = unsafe {
                let [x, low, high] = [x, low, high].map(|v| _mm512_loadu_si512(v.as_ptr().cast()));
                _mm512_mask_cmple_epi16_mask(_mm512_cmple_epi16_mask(low, x), x, high)
            };
            u64::from(mask)
        };
        inside(0) | inside(32) << 32
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        let inside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 16]);
            // SAFETY: `self` proves AVX-512; the slices have 16 elements.
            let mask = unsafe {
                let [x, low, high] = [x, low, high].map(|v| _mm512_loadu_si512(v.as_ptr().cast()));
                _mm512_mask_cmple_epi32_mask(_mm512_cmple_epi32_mask(low, x), x, high)
            };
            u64::from(mask)
        };
        (0..4).fold(0, |bits, i| bits | inside(16 * i) << (16 * i))
    }
}
