use super::Avx2;
use crate::vector::Bytes;
use std::arch::x86_64::*;

impl Bytes for Avx2 {
    type U8 = __m256i;
    const LANES: usize = 32;

    #[inline(always)]
    fn zero_bytes(self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8]) -> __m256i {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 32 bytes.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], indices: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2; the table has 16 bytes.
        unsafe { _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), indices) }
    }

    #[inline(always)]
    fn add_bytes(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi8(a, b) }
    }
}
