use super::Avx512;
use crate::vector::{ByteLookups, Sums};
use std::arch::x86_64::*;

/// What the numbers of pair k are multiplied by in each entry: two factors side by side.
const fn factors(signed: bool) -> [[[i8; 2]; 32]; 3] {
    let mut factors = [[[0; 2]; 32]; 3];
    let mut i = 0;
    while i < 5 * 32 {
        let (number, entry) = (i / 32, i % 32);
        let set = (entry >> number) & 1 == 1;
        factors[number / 2][entry][number % 2] = if signed && set {
            -1
        } else if signed || set {
            1
        } else {
            0
        };
        i += 1;
    }
    factors
}

/// Numbers are 128 more than they mean: that times all factors, to be taken away.
const fn starts(signed: bool) -> [i16; 32] {
    let factors = factors(signed);
    let mut starts = [0; 32];
    let mut i = 0;
    while i < 3 * 32 {
        let [low, high] = factors[i / 32][i % 32];
        starts[i % 32] -= 128 * (low as i16 + high as i16);
        i += 1;
    }
    starts
}

impl Sums for Avx512 {
    type I16 = __m512i;
    const SUMS: usize = 32;

    #[inline(always)]
    fn zero_i16(self) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn add_to(self, sums: __m512i, totals: &mut [i32]) {
        let (low, high) = totals[..32].split_at_mut(16);
        // SAFETY: `self` proves AVX-512; the halves have 16 elements of 4 bytes.
        unsafe {
            let halves = [_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums)];
            for (totals, sums) in [low, high].into_iter().zip(halves) {
                let total = _mm512_loadu_si512(totals.as_ptr().cast());
                let total = _mm512_add_epi32(total, _mm512_cvtepi16_epi32(sums));
                _mm512_storeu_si512(totals.as_mut_ptr().cast(), total);
            }
        }
    }
}

impl ByteLookups for Avx512 {
    type Places = __m512i;

    #[inline(always)]
    fn fill_table<const SIGNED: bool>(self, pairs: [u16; 3], table: &mut [i16; 32]) {
        // SAFETY: `self` proves AVX-512 BW; the arrays have 32 elements of 2 bytes.
        unsafe {
            let mut sums = _mm512_loadu_si512(const { starts(SIGNED) }.as_ptr().cast());
            for (pair, factors) in pairs.into_iter().zip(&const { factors(SIGNED) }) {
                let factors = _mm512_loadu_si512(factors.as_ptr().cast());
                sums = _mm512_add_epi16(sums, _mm512_maddubs_epi16(_mm512_set1_epi16(pair as i16), factors));
            }
            _mm512_storeu_si512(table.as_mut_ptr().cast(), sums);
        }
    }

    #[inline(always)]
    fn load_places(self, x: &[u16]) -> __m512i {
        let x = &x[..32];
        // SAFETY: `self` proves AVX-512; the slice above has 32 elements of 2 bytes.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next_places(self, places: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_srli_epi16::<5>(places) }
    }

    #[inline(always)]
    fn add_looked_up(self, table: &[i16; 32], places: __m512i, sums: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 BW; the table has 32 elements of 2 bytes. The permutation reads five bits of each lane.
        unsafe {
            let table = _mm512_loadu_si512(table.as_ptr().cast());
            _mm512_add_epi16(sums, _mm512_permutexvar_epi16(places, table))
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &[u64; 15], lanes: &mut [u16; 64]) {
        let (low, high) = lanes.split_at_mut(32);
        for (half, lanes) in [low, high].into_iter().enumerate() {
            // SAFETY: `self` proves AVX-512 BW; the half has 32 elements of 2 bytes.
            unsafe {
                let mut all = _mm512_setzero_si512();
                for (k, row) in rows.iter().enumerate() {
                    let set = _mm512_movm_epi16((row >> (32 * half)) as __mmask32);
                    all = _mm512_or_si512(all, _mm512_and_si512(set, _mm512_set1_epi16(1 << k)));
                }
                _mm512_storeu_si512(lanes.as_mut_ptr().cast(), all);
            }
        }
    }
}
