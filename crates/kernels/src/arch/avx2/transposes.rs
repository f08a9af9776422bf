use super::Avx2;
use crate::vector::{Floats, Transposes};
use std::arch::x86_64::*;

/// Transposes both blocks of 4 × 4: float k of half h of vector j becomes float j of half h of vector k.
#[inline(always)]
fn transpose([a, b, c, d]: [__m256; 4], _: Avx2) -> [__m256; 4] {
    // SAFETY: the token proves AVX2.
    unsafe {
        let [low_ab, high_ab] = [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)];
        let [low_cd, high_cd] = [_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)];
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(low_ab, low_cd),
            _mm256_shuffle_ps::<0b11_10_11_10>(low_ab, low_cd),
            _mm256_shuffle_ps::<0b01_00_01_00>(high_ab, high_cd),
            _mm256_shuffle_ps::<0b11_10_11_10>(high_ab, high_cd),
        ]
    }
}

impl Transposes for Avx2 {
    #[inline(always)]
    fn columns_of(self, rows: &[[f32; 4]; 16], columns: &mut [[f32; 16]; 4]) {
        for first in [0, 8] {
            let mut v = [self.splat(0.0); 4];
            for (j, v) in v.iter_mut().enumerate() {
                // SAFETY: `self` proves AVX2; a row has 4 elements.
                *v = unsafe {
                    let [low, high] =
                        [_mm_loadu_ps(rows[first + j].as_ptr()), _mm_loadu_ps(rows[first + 4 + j].as_ptr())];
                    _mm256_set_m128(high, low)
                };
            }
            for (v, column) in transpose(v, self).into_iter().zip(columns.iter_mut()) {
                self.store(v, &mut column[first..]);
            }
        }
    }

    #[inline(always)]
    fn rows_of(self, columns: &[[f32; 16]; 4], rows: &mut [[f32; 4]; 16]) {
        for first in [0, 8] {
            let mut v = [self.splat(0.0); 4];
            for (v, column) in v.iter_mut().zip(columns) {
                *v = self.load(&column[first..]);
            }
            for (j, v) in transpose(v, self).into_iter().enumerate() {
                // SAFETY: `self` proves AVX2; a row has 4 elements.
                unsafe {
                    _mm_storeu_ps(rows[first + j].as_mut_ptr(), _mm256_castps256_ps128(v));
                    _mm_storeu_ps(rows[first + 4 + j].as_mut_ptr(), _mm256_extractf128_ps::<1>(v));
                }
            }
        }
    }

    #[inline(always)]
    fn transpose<const N: usize>(self, rows: &[u64; N], lanes: &mut [u8; 64]) {
        let (low, high) = lanes.split_at_mut(32);
        for (half, lanes) in [low, high].into_iter().enumerate() {
            // SAFETY: `self` proves AVX2; the half has 32 bytes.
            unsafe {
                // The byte of a row that has the bit of a lane, and the bit in it.
                let byte = _mm256_set_epi64x(0x0303_0303_0303_0303, 0x0202_0202_0202_0202, 0x0101_0101_0101_0101, 0);
                let bit = _mm256_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
                let mut all = _mm256_setzero_si256();
                for row in rows.iter().rev() {
                    let row = _mm256_set1_epi32((row >> (32 * half)) as i32);
                    let set = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(row, byte), bit), bit);
                    // Doubles what is there, and adds 1 where the bit is set.
                    all = _mm256_sub_epi8(_mm256_add_epi8(all, all), set);
                }
                _mm256_storeu_si256(lanes.as_mut_ptr().cast(), all);
            }
        }
    }
}
