use super::Avx512;
use crate::vector::Fours;
use std::arch::x86_64::*;

impl Fours for Avx512 {
    #[inline(always)]
    fn transpose(self, rows: &[u64; 4], lanes: &mut [u8; 64]) {
        // SAFETY: `self` proves AVX-512 BW; there are 64 bytes.
        unsafe {
            let mut all = _mm512_setzero_si512();
            for (k, row) in rows.iter().enumerate() {
                let set = _mm512_movm_epi8(*row);
                all = _mm512_or_si512(all, _mm512_and_si512(set, _mm512_set1_epi8(1 << k)));
            }
            _mm512_storeu_si512(lanes.as_mut_ptr().cast(), all);
        }
    }
}
