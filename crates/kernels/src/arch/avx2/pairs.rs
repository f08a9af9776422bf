use super::Avx2;
use crate::vector::Pairs;
use std::arch::x86_64::*;

impl Pairs for Avx2 {
    type I32 = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    fn zero_sums(self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn splat_pair(self, x: [i16; 2]) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi32(bytemuck::cast(x)) }
    }

    #[inline(always)]
    fn load_pairs(self, x: &[[i16; 2]]) -> __m256i {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements of 4 bytes.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot_pairs(self, a: __m256i, b: __m256i, sums: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)) }
    }

    #[inline(always)]
    fn store_sums(self, sums: __m256i, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) }
    }
}
