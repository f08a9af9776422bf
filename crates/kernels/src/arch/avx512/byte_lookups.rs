use super::Avx512;
use crate::vector::ByteLookups;
use std::arch::x86_64::*;

/// All ones where bit k of the lane's number is 1.
const MASKS: [[i16; 32]; 5] = {
    let mut masks = [[0; 32]; 5];
    let mut i = 0;
    while i < 5 * 32 {
        masks[i / 32][i % 32] = -((((i % 32) >> (i / 32)) & 1) as i16);
        i += 1;
    }
    masks
};

/// How many bits of the lane's number are 1.
const ONES: [i16; 32] = {
    let mut ones = [0; 32];
    let mut i = 0u32;
    while i < 32 {
        ones[i as usize] = i.count_ones() as i16;
        i += 1;
    }
    ones
};

impl ByteLookups for Avx512 {
    type I16 = __m512i;
    const LANES: usize = 32;
    type Places = __m512i;

    #[inline(always)]
    fn zero_i16(self) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn fill_table<const SIGNED: bool>(self, x: [&[i16; 2]; 5], table: &mut [i16; 32]) {
        // SAFETY: `self` proves AVX-512 BW; the arrays have 32 elements of 2 bytes.
        unsafe {
            // −x is !x + 1: the ones of all negative numbers come first.
            let mut sums = if SIGNED { _mm512_loadu_si512(ONES.as_ptr().cast()) } else { _mm512_setzero_si512() };
            for (x, mask) in x.into_iter().zip(&MASKS) {
                let (x, mask) = (_mm512_set1_epi32(bytemuck::cast(*x)), _mm512_loadu_si512(mask.as_ptr().cast()));
                let term = if SIGNED { _mm512_xor_si512(x, mask) } else { _mm512_and_si512(x, mask) };
                sums = _mm512_add_epi16(sums, term);
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
