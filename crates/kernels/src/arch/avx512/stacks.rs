use super::Avx512;
use crate::stack_lut::{LANES, Pair};
use crate::vector::Stacks;
use std::arch::x86_64::*;

impl Stacks<Pair> for Avx512 {
    type Lanes = __m512i;
    const WIDTH: usize = 16;

    #[inline(always)]
    fn zero_lanes(self) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn load_lanes(self, x: &[Pair]) -> __m512i {
        let x = &x[..16];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements of 4 bytes.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_lanes(self, v: __m512i, x: &mut [Pair]) {
        let x = &mut x[..16];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements of 4 bytes.
        unsafe { _mm512_storeu_si512(x.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add_lanes(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    fn subtract_lanes(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn begin(self, _: &[i32], _: usize) -> __m512i {
        Stacks::<Pair>::zero_lanes(self)
    }

    #[inline(always)]
    fn end(self, v: __m512i, sums: &mut [i32], lane: usize) {
        // SAFETY: `self` proves AVX-512.
        let rows = unsafe { [_mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(v)), _mm512_srai_epi32::<16>(v)] };
        for (row, sums) in rows.into_iter().zip(sums.chunks_exact_mut(LANES)) {
            let sums = &mut sums[lane..][..16];
            // SAFETY: `self` proves AVX-512; the slice above has 16 elements of 4 bytes.
            unsafe {
                let sum = _mm512_add_epi32(_mm512_loadu_si512(sums.as_ptr().cast()), row);
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), sum);
            }
        }
    }
}
