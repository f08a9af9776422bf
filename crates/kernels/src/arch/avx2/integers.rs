use super::Avx2;
use crate::vector::Integers;
use std::arch::x86_64::*;

impl Integers for Avx2 {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        !(half_outside(self, x, low, high, 0) | half_outside(self, x, low, high, 32) << 32)
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        let mut bits = 0;
        for start in (0..64).step_by(8) {
            let (x, low, high) = (&x[start..start + 8], &low[start..start + 8], &high[start..start + 8]);
            // SAFETY: `self` proves AVX2; the slices have 8 elements.
            let mask = unsafe {
                let x = _mm256_loadu_si256(x.as_ptr().cast());
                let below = _mm256_cmpgt_epi32(_mm256_loadu_si256(low.as_ptr().cast()), x);
                let above = _mm256_cmpgt_epi32(x, _mm256_loadu_si256(high.as_ptr().cast()));
                _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_or_si256(below, above)))
            };
            bits |= u64::from(mask as u32) << start;
        }
        !bits
    }
}

/// Bit i: whether number `start + i` of 32 lies outside its bounds. A function that is inlined, and no closure: that one would be compiled without AVX2.
#[inline(always)]
fn half_outside(proof: Avx2, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64], start: usize) -> u64 {
    let (first, second) = (outside(proof, x, low, high, start), outside(proof, x, low, high, start + 16));
    // SAFETY: the token proves AVX2. Packing interleaves halves of 128 bits, which the permutation takes back.
    let mask = unsafe {
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(first, second));
        _mm256_movemask_epi8(bytes)
    };
    u64::from(mask as u32)
}

/// All bits of each of 16 numbers that lies outside its bounds.
#[inline(always)]
fn outside(_proof: Avx2, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64], start: usize) -> __m256i {
    let (x, low, high) = (&x[start..start + 16], &low[start..start + 16], &high[start..start + 16]);
    // SAFETY: the token proves AVX2; the slices have 16 elements.
    unsafe {
        let x = _mm256_loadu_si256(x.as_ptr().cast());
        let below = _mm256_cmpgt_epi16(_mm256_loadu_si256(low.as_ptr().cast()), x);
        let above = _mm256_cmpgt_epi16(x, _mm256_loadu_si256(high.as_ptr().cast()));
        _mm256_or_si256(below, above)
    }
}
