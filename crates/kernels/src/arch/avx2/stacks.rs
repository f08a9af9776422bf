use super::Avx2;
use crate::stack_lut::{LANES, Pair};
use crate::vector::Stacks;
use std::arch::x86_64::*;

impl Stacks<Pair> for Avx2 {
    type Lanes = __m256i;
    const WIDTH: usize = 8;

    #[inline(always)]
    fn zero_lanes(self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load_lanes(self, x: &[Pair]) -> __m256i {
        let x = &x[..8];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements of 4 bytes.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_lanes(self, v: __m256i, x: &mut [Pair]) {
        let x = &mut x[..8];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements of 4 bytes.
        unsafe { _mm256_storeu_si256(x.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add_lanes(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn subtract_lanes(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn begin(self, _: &[i32], _: usize) -> __m256i {
        Stacks::<Pair>::zero_lanes(self)
    }

    #[inline(always)]
    fn end(self, v: __m256i, sums: &mut [i32], lane: usize) {
        // SAFETY: `self` proves AVX2.
        let rows = unsafe { [_mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(v)), _mm256_srai_epi32::<16>(v)] };
        for (row, sums) in rows.into_iter().zip(sums.chunks_exact_mut(LANES)) {
            let sums = &mut sums[lane..][..8];
            // SAFETY: `self` proves AVX2; the slice above has 8 elements of 4 bytes.
            unsafe {
                let sum = _mm256_add_epi32(_mm256_loadu_si256(sums.as_ptr().cast()), row);
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum);
            }
        }
    }
}
