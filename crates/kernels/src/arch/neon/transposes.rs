use super::Neon;
use crate::vector::Transposes;
use std::arch::aarch64::*;

impl Transposes for Neon {
    #[inline(always)]
    fn transpose<const N: usize>(self, rows: &[u64; N], lanes: &mut [u8; 64]) {
        for (i, lanes) in lanes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            // SAFETY: `self` proves NEON; there are 8 bits and 8 bytes.
            unsafe {
                let bit = vld1_u8([1, 2, 4, 8, 16, 32, 64, 128].as_ptr());
                let mut all = vdup_n_u8(0);
                for row in rows.iter().rev() {
                    // Doubles what is there, and adds 1 where the bit is set.
                    all = vsub_u8(vadd_u8(all, all), vtst_u8(vdup_n_u8((row >> (8 * i)) as u8), bit));
                }
                vst1_u8(lanes.as_mut_ptr(), all);
            }
        }
    }
}
