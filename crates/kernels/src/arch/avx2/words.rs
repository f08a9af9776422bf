use super::Avx2;
use crate::vector::Words;
use std::arch::x86_64::*;

impl Words for Avx2 {
    type U64 = __m256i;
    const LANES: usize = 4;
    /// A byte holds at most 8 ones, and 31 · 8 < 256.
    const PARTIALS: usize = 31;

    #[inline(always)]
    fn splat_word(self, x: u64) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi64x(x as i64) }
    }

    #[inline(always)]
    fn load_words(self, x: &[u64]) -> __m256i {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 4 words.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn carry(self, first: __m256i, second: __m256i, third: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_or_si256(_mm256_andnot_si256(second, first), _mm256_andnot_si256(third, second)) }
    }

    /// Counts per byte: two nibbles, each looked up in a table of 16.
    #[inline(always)]
    fn count(self, v: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let ones = _mm256_setr_epi8(
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
            );
            let nibble = _mm256_set1_epi8(15);
            let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(v, nibble));
            let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16::<4>(v), nibble));
            _mm256_add_epi8(low, high)
        }
    }

    #[inline(always)]
    fn add_partial(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi8(a, b) }
    }

    #[inline(always)]
    fn widen(self, partial: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sad_epu8(partial, _mm256_setzero_si256()) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn store_counts(self, v: __m256i, counts: &mut [i32]) {
        let counts = &mut counts[..Self::LANES];
        // SAFETY: `self` proves AVX2; the slice above has 4 elements.
        unsafe {
            let low_halves = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
            _mm_storeu_si128(counts.as_mut_ptr().cast(), _mm256_castsi256_si128(low_halves));
        }
    }
}
