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
    fn store_i32(self, counts: __m256i, base: &[i32], factor: i32, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves AVX2; the slice above has 4 elements.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), dots) }
    }

    #[inline(always)]
    fn store_i16(self, counts: __m256i, base: &[i32], factor: i32, out: &mut [i16]) {
        let out = &mut out[..Self::LANES];
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves AVX2; the slice above has 4 elements of 2 bytes.
        unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packs_epi32(dots, dots)) }
    }
}

/// `base + factor · counts`.
#[inline(always)]
fn dots(_proof: Avx2, counts: __m256i, base: &[i32], factor: i32) -> __m128i {
    let base = &base[..Avx2::LANES];
    // SAFETY: the token proves AVX2; the slice above has 4 elements.
    unsafe {
        let low_halves = _mm256_permutevar8x32_epi32(counts, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
        let products = _mm_mullo_epi32(_mm256_castsi256_si128(low_halves), _mm_set1_epi32(factor));
        _mm_add_epi32(_mm_loadu_si128(base.as_ptr().cast()), products)
    }
}
