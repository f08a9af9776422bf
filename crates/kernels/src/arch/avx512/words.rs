use super::Avx512;
use crate::vector::Words;
use std::arch::x86_64::*;

impl Words for Avx512 {
    type U64 = __m512i;
    const LANES: usize = 8;
    const PARTIALS: usize = usize::MAX;

    #[inline(always)]
    fn splat_word(self, x: u64) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_epi64(x as i64) }
    }

    #[inline(always)]
    fn load_words(self, x: &[u64]) -> __m512i {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves AVX-512; the slice above has 8 words.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn carry(self, first: __m512i, second: __m512i, third: __m512i) -> __m512i {
        // The truth table of `second ? !third : first` at index first·4 + second·2 + third: index 7 first.
        const TABLE: i32 = 0b0111_0100;
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_ternarylogic_epi64::<TABLE>(first, second, third) }
    }

    #[inline(always)]
    fn count(self, v: __m512i) -> __m512i {
        // SAFETY: `self` proves VPOPCNTDQ.
        unsafe { _mm512_popcnt_epi64(v) }
    }

    #[inline(always)]
    fn add_partial(self, a: __m512i, b: __m512i) -> __m512i {
        self.add(a, b)
    }

    #[inline(always)]
    fn widen(self, partial: __m512i) -> __m512i {
        partial
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn store_i32(self, counts: __m512i, base: &[i32], factor: i32, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves AVX-512; the slice above has 8 elements.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), dots) }
    }

    #[inline(always)]
    fn store_i16(self, counts: __m512i, base: &[i32], factor: i32, out: &mut [i16]) {
        let out = &mut out[..Self::LANES];
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves AVX-512; the slice above has 8 elements.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm256_cvtepi32_epi16(dots)) }
    }
}

/// `base + factor · counts`.
#[inline(always)]
fn dots(_proof: Avx512, counts: __m512i, base: &[i32], factor: i32) -> __m256i {
    let base = &base[..Avx512::LANES];
    // SAFETY: the token proves AVX-512; the slice above has 8 elements.
    unsafe {
        let products = _mm256_mullo_epi32(_mm512_cvtepi64_epi32(counts), _mm256_set1_epi32(factor));
        _mm256_add_epi32(_mm256_loadu_si256(base.as_ptr().cast()), products)
    }
}
