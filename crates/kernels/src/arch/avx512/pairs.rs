use super::Avx512;
use crate::vector::Pairs;
use std::arch::x86_64::*;

impl Pairs for Avx512 {
    type I32 = __m512i;
    const LANES: usize = 16;

    #[inline(always)]
    fn zero_sums(self) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn splat_pair(self, x: [i16; 2]) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_epi32(bytemuck::cast(x)) }
    }

    #[inline(always)]
    fn load_pairs(self, x: &[[i16; 2]]) -> __m512i {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements of 4 bytes.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot_pairs(self, a: __m512i, b: __m512i, sums: __m512i) -> __m512i {
        // SAFETY: `self` proves VNNI.
        unsafe { _mm512_dpwssd_epi32(sums, a, b) }
    }

    #[inline(always)]
    fn store_sums(self, sums: __m512i, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) }
    }
}
