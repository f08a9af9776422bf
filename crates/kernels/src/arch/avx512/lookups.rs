use super::Avx512;
use crate::vector::Lookups;
use std::arch::x86_64::*;

impl Lookups for Avx512 {
    type Places = __m512i;

    #[inline(always)]
    fn load_places(self, x: &[u32]) -> __m512i {
        let x = &x[..16];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next_places(self, places: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_srli_epi32::<4>(places) }
    }

    #[inline(always)]
    fn add_looked_up(self, table: &[f32], places: __m512i, sums: __m512) -> __m512 {
        let table = &table[..16];
        // SAFETY: `self` proves AVX-512; the slice above has 16 elements. The permutation reads four bits of each lane.
        unsafe { _mm512_add_ps(sums, _mm512_permutexvar_ps(places, _mm512_loadu_ps(table.as_ptr()))) }
    }

    #[inline(always)]
    fn transpose(self, rows: &[u64; 32], lanes: &mut [u32; 64]) {
        // SAFETY: `self` proves AVX-512; the slices below have 16 elements.
        unsafe {
            let mut all = [_mm512_setzero_si512(); 4];
            for (k, row) in rows.iter().enumerate() {
                let bit = _mm512_set1_epi32(1 << k);
                for (i, lanes) in all.iter_mut().enumerate() {
                    *lanes = _mm512_mask_or_epi32(*lanes, (row >> (16 * i)) as __mmask16, *lanes, bit);
                }
            }
            for (lanes, all) in lanes.chunks_exact_mut(16).zip(all) {
                _mm512_storeu_si512(lanes.as_mut_ptr().cast(), all);
            }
        }
    }
}
