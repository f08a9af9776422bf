use super::Avx2;
use crate::vector::Lookups;
use std::arch::x86_64::*;

/// What the first, and what the second float of a pair is multiplied by, in each of the entries of two pairs.
const fn factors(off: f32, on: f32) -> [[f32; 8]; 2] {
    [[off, on, off, on, off, on, off, on], [off, off, on, on, off, off, on, on]]
}

/// A permutation of four floats costs half of one of eight, so tables have the four sums of either pair, and two look-ups are added.
impl Lookups for Avx2 {
    /// For the first pair, and for the second one.
    type Places = [__m256i; 2];
    const FOURS: usize = 2;

    #[inline(always)]
    fn load_places(self, x: &[u32]) -> [__m256i; 2] {
        let x = &x[..8];
        // SAFETY: `self` proves AVX2; the slice above has 8 elements.
        unsafe {
            let places = _mm256_loadu_si256(x.as_ptr().cast());
            [places, _mm256_srli_epi32::<2>(places)]
        }
    }

    #[inline(always)]
    fn next_places(self, [first, second]: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_srli_epi32::<4>(first), _mm256_srli_epi32::<4>(second)] }
    }

    #[inline(always)]
    fn fill_table<const SIGNED: bool>(self, [a, b, c, d]: [f32; 4], table: &mut [f32]) {
        let factors = const { if SIGNED { factors(1.0, -1.0) } else { factors(0.0, 1.0) } };
        let [first, second] = &factors;
        let table = &mut table[..8];
        // SAFETY: `self` proves AVX2 and FMA; the factors and the slice above have 8 elements.
        unsafe {
            let mut sums = _mm256_setzero_ps();
            for (factors, [x, y]) in [(first, [a, c]), (second, [b, d])] {
                let of_pairs = _mm256_set_m128(_mm_set1_ps(y), _mm_set1_ps(x));
                sums = _mm256_fmadd_ps(_mm256_loadu_ps(factors.as_ptr()), of_pairs, sums);
            }
            _mm256_storeu_ps(table.as_mut_ptr(), sums);
        }
    }

    #[inline(always)]
    fn add_looked_up(self, table: &[f32], [first, second]: [__m256i; 2], sums: __m256) -> __m256 {
        let (first_pair, second_pair) = table[..8].split_at(4);
        // SAFETY: `self` proves AVX2; a pair has 4 sums, wherever it lies. The permutation reads two bits of each lane.
        unsafe {
            let [first_pair, second_pair] = [_mm_loadu_ps(first_pair.as_ptr()), _mm_loadu_ps(second_pair.as_ptr())];
            let first = _mm256_permutevar_ps(_mm256_set_m128(first_pair, first_pair), first);
            let second = _mm256_permutevar_ps(_mm256_set_m128(second_pair, second_pair), second);
            _mm256_add_ps(sums, _mm256_add_ps(first, second))
        }
    }
}
