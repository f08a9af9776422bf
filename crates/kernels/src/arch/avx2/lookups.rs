use super::Avx2;
use crate::vector::Lookups;
use std::arch::x86_64::*;

impl Lookups for Avx2 {
    type Places = __m256i;

    #[inline(always)]
    fn load_places(self, x: &[u32]) -> __m256i {
        let x = &x[..8];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next_places(self, places: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_srli_epi32::<4>(places) }
    }

    #[inline(always)]
    fn add_looked_up<const SIGNED: bool>(self, table: &[f32; 16], places: __m256i, sums: __m256) -> __m256 {
        let (low, high) = table.split_at(8);
        // SAFETY: `self` proves AVX2; `low` has 8 elements. A permutation reads three bits of each lane; the fourth bit does in arithmetic what
        // a second permutation would do: it adds the fourth float, or turns the signs of all four.
        unsafe {
            let low = _mm256_loadu_ps(low.as_ptr());
            let fourth = _mm256_slli_epi32::<28>(places);
            let set = _mm256_srai_epi32::<31>(fourth);
            let sum = if SIGNED {
                let sign = _mm256_and_si256(fourth, _mm256_set1_epi32(i32::MIN));
                let sum = _mm256_permutevar8x32_ps(low, _mm256_xor_si256(places, set));
                _mm256_xor_ps(sum, _mm256_castsi256_ps(sign))
            } else {
                let float = _mm256_and_ps(_mm256_set1_ps(high[0]), _mm256_castsi256_ps(set));
                _mm256_add_ps(_mm256_permutevar8x32_ps(low, places), float)
            };
            _mm256_add_ps(sums, sum)
        }
    }
}
