use super::Neon;
use crate::vector::Pairs;
use std::arch::aarch64::*;

impl Pairs for Neon {
    type I32 = int16x8_t;
    const LANES: usize = 4;

    #[inline(always)]
    fn zero_sums(self) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_s16(0) }
    }

    #[inline(always)]
    fn splat_pair(self, x: [i16; 2]) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe { vreinterpretq_s16_s32(vdupq_n_s32(bytemuck::cast(x))) }
    }

    #[inline(always)]
    fn load_pairs(self, x: &[[i16; 2]]) -> int16x8_t {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 4 elements of 4 bytes.
        unsafe { vld1q_s16(x.as_ptr().cast()) }
    }

    /// The first numbers of all pairs by the first of `a`, then the second ones by the second; `b` is taken apart once for all pixels of a tile.
    #[inline(always)]
    fn dot_pairs(self, a: int16x8_t, b: int16x8_t, sums: int16x8_t) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe {
            let (a, sums) = (vget_low_s16(a), vreinterpretq_s32_s16(sums));
            let sums = vmlal_lane_s16::<0>(sums, vget_low_s16(vuzp1q_s16(b, b)), a);
            let sums = vmlal_lane_s16::<1>(sums, vget_low_s16(vuzp2q_s16(b, b)), a);
            vreinterpretq_s16_s32(sums)
        }
    }

    #[inline(always)]
    fn store_sums(self, sums: int16x8_t, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 4 elements.
        unsafe { vst1q_s32(out.as_mut_ptr(), vreinterpretq_s32_s16(sums)) }
    }
}
