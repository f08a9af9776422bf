use super::Avx512;
use crate::vector::Quads;
use std::arch::x86_64::*;

impl Quads for Avx512 {
    #[inline(always)]
    fn splat_quad(self, x: [u8; 4]) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_epi32(bytemuck::cast(x)) }
    }

    #[inline(always)]
    fn load_quads(self, x: &[[i8; 4]]) -> __m512i {
        let x = &x[..16];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements of 4 bytes.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot_quads(self, a: __m512i, b: __m512i, sums: __m512i) -> __m512i {
        // SAFETY: `self` proves VNNI.
        unsafe { _mm512_dpbusd_epi32(sums, a, b) }
    }
}
