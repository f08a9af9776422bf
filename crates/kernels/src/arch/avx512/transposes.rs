use super::Avx512;
use crate::vector::Transposes;
use std::arch::x86_64::*;

/// Rows of four floats are half a vector of AVX2.
impl Transposes for Avx512 {
    #[inline(always)]
    fn columns_of(self, rows: &[[f32; 4]; 16], columns: &mut [[f32; 16]; 4]) {
        self.0.columns_of(rows, columns);
    }

    #[inline(always)]
    fn rows_of(self, columns: &[[f32; 16]; 4], rows: &mut [[f32; 4]; 16]) {
        self.0.rows_of(columns, rows);
    }

    #[inline(always)]
    fn transpose<const N: usize>(self, rows: &[u64; N], lanes: &mut [u8; 64]) {
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
