use super::Avx2;
use crate::vector::Integers;
use std::arch::x86_64::*;

impl Integers for Avx2 {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        let outside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 16]);
            // SAFETY: `self` proves AVX2; the slices have 16 elements.
            unsafe {
                let [x, low, high] = [x, low, high].map(|v| _mm256_loadu_si256(v.as_ptr().cast()));
                _mm256_or_si256(_mm256_cmpgt_epi16(low, x), _mm256_cmpgt_epi16(x, high))
            }
        };
        let half = |start: usize| {
            let (first, second) = (outside(start), outside(start + 16));
            // SAFETY: `self` proves AVX2. Packing interleaves halves of 128 bits, which the permutation takes back.
            let mask = unsafe {
                let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(first, second));
                _mm256_movemask_epi8(bytes)
            };
            u64::from(mask as u32)
        };
        !(half(0) | half(32) << 32)
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        let outside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 8]);
            // SAFETY: `self` proves AVX2; the slices have 8 elements.
            let mask = unsafe {
                let [x, low, high] = [x, low, high].map(|v| _mm256_loadu_si256(v.as_ptr().cast()));
                let outside = _mm256_or_si256(_mm256_cmpgt_epi32(low, x), _mm256_cmpgt_epi32(x, high));
                _mm256_movemask_ps(_mm256_castsi256_ps(outside))
            };
            u64::from(mask as u32)
        };
        !(0..8).fold(0, |bits, i| bits | outside(8 * i) << (8 * i))
    }
}
