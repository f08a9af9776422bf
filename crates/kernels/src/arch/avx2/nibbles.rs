use super::Avx2;
use crate::vector::{Bytes, Nibbles};
use std::arch::x86_64::*;

impl Nibbles for Avx2 {
    #[inline(always)]
    fn sub_sixteenfold(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sub_epi8(a, _mm256_and_si256(_mm256_slli_epi16::<4>(b), _mm256_set1_epi8(-16))) }
    }

    #[inline(always)]
    fn sixteenth(self, v: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_and_si256(_mm256_srli_epi16::<4>(v), _mm256_set1_epi8(15)) }
    }

    #[inline(always)]
    fn sum_bytes(self, v: __m256i, first: bool, sums: &mut [u16]) {
        let sums = &mut sums[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 32 elements of 2 bytes.
        unsafe {
            let low = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(v));
            let high = _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(v));
            for (half, at) in [(low, sums.as_mut_ptr()), (high, sums.as_mut_ptr().add(Self::LANES / 2))] {
                let at: *mut __m256i = at.cast();
                let sum = if first { half } else { _mm256_add_epi16(_mm256_loadu_si256(at), half) };
                _mm256_storeu_si256(at, sum);
            }
        }
    }
}
