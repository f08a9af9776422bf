use super::Avx2;
use crate::vector::{Bytes, Planes, PlanesOfTwo, Sums};
use std::arch::x86_64::*;

/// The first or the last pair of bytes of each four, once for each of eight entries: those of the first four in the lower half.
const fn pair(first: i8) -> [i8; 32] {
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        bytes[i] = first + (i % 2 + 4 * (i / 16)) as i8;
        i += 1;
    }
    bytes
}

/// What numbers `first` and `first + 1` are multiplied by in eight entries from `entry` on, in both halves.
const fn factors([off, on]: [i8; 2], first: usize, entry: usize) -> [i8; 32] {
    let mut factors = [off; 32];
    let mut i = 0;
    while i < 32 {
        if ((entry + i % 16 / 2) >> (first + i % 2)) & 1 == 1 {
            factors[i] = on;
        }
        i += 1;
    }
    factors
}

impl Sums for Avx2 {
    /// Those of even lanes and those of odd ones.
    type I16 = [__m256i; 2];
    const SUMS: usize = 32;

    #[inline(always)]
    fn zero_i16(self) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn add_to(self, [even, odd]: [__m256i; 2], totals: &mut [i32]) {
        let totals = &mut totals[..32];
        // SAFETY: `self` proves AVX2; the slice above has 32 elements of 4 bytes.
        unsafe {
            // Neighbours by eights: the first and third eight, the second and fourth.
            let eights = [_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd)];
            for (i, eight) in eights.into_iter().enumerate() {
                let halves = [_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight)];
                for (half, sums) in halves.into_iter().enumerate() {
                    let at: *mut __m256i = totals.as_mut_ptr().add(8 * i + 16 * half).cast();
                    _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), _mm256_cvtepi16_epi32(sums)));
                }
            }
        }
    }
}

impl Planes for Avx2 {
    #[inline(always)]
    fn fill_planes<const SIGNED: bool>(self, eight: u64, planes: &mut PlanesOfTwo) {
        // Signs, or masks; the first pair has the same in the second eight entries.
        let factors = const {
            let codes = if SIGNED { [1, -1] } else { [0, -1] };
            [factors(codes, 0, 0), factors(codes, 2, 0), factors(codes, 2, 8)]
        };
        let pairs = const { [pair(0), pair(2), pair(2)] };
        let mut sums = [self.zero_bytes(); 3];
        // SAFETY: `self` proves AVX2; pairs, factors, and two planes have 32 bytes.
        unsafe {
            let eight = _mm256_set1_epi64x(eight as i64);
            for (sums, (pair, factors)) in sums.iter_mut().zip(pairs.iter().zip(&factors)) {
                let pair = _mm256_shuffle_epi8(eight, _mm256_loadu_si256(pair.as_ptr().cast()));
                let factors = _mm256_loadu_si256(factors.as_ptr().cast());
                let terms = if SIGNED { _mm256_sign_epi8(pair, factors) } else { _mm256_and_si256(pair, factors) };
                *sums = _mm256_maddubs_epi16(_mm256_set1_epi8(1), terms);
            }
            let [first, second, third] = sums;
            let (low, high) = (_mm256_add_epi16(first, second), _mm256_add_epi16(first, third));
            let mask = _mm256_set1_epi16(31);
            let lower = _mm256_packus_epi16(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask));
            let upper = _mm256_packs_epi16(_mm256_srai_epi16::<5>(low), _mm256_srai_epi16::<5>(high));
            _mm256_storeu_si256(planes[0].as_mut_ptr().cast(), lower);
            _mm256_storeu_si256(planes[1].as_mut_ptr().cast(), upper);
        }
    }

    #[inline(always)]
    fn add_planes(self, lower: __m256i, upper: __m256i, [even, odd]: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let byte = _mm256_set1_epi16(255);
            let upper = [
                _mm256_srai_epi16::<3>(_mm256_slli_epi16::<8>(upper)),
                _mm256_srai_epi16::<3>(_mm256_andnot_si256(byte, upper)),
            ];
            [
                _mm256_add_epi16(_mm256_add_epi16(even, upper[0]), _mm256_and_si256(lower, byte)),
                _mm256_add_epi16(_mm256_add_epi16(odd, upper[1]), _mm256_srli_epi16::<8>(lower)),
            ]
        }
    }
}
