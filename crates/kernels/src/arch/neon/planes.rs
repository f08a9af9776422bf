use super::Neon;
use crate::vector::{Planes, PlanesOfTwo, Sums};
use std::arch::aarch64::*;

/// What number k is multiplied by in each entry.
const fn factors(off: i16, on: i16) -> [[i16; 16]; 4] {
    let mut factors = [[off; 16]; 4];
    let mut i = 0;
    while i < 64 {
        if ((i % 16) >> (i / 16)) & 1 == 1 {
            factors[i / 16][i % 16] = on;
        }
        i += 1;
    }
    factors
}

impl Sums for Neon {
    /// Those of the lower and those of the upper half of the lanes.
    type I16 = [int16x8_t; 2];
    const SUMS: usize = 16;

    #[inline(always)]
    fn zero_i16(self) -> [int16x8_t; 2] {
        // SAFETY: `self` proves NEON.
        unsafe { [vdupq_n_s16(0); 2] }
    }

    #[inline(always)]
    fn add_to(self, [low, high]: [int16x8_t; 2], totals: &mut [i32]) {
        let totals = &mut totals[..16];
        // SAFETY: `self` proves NEON; the slice above has 16 elements of 4 bytes.
        unsafe {
            let quarters = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            for (i, sums) in quarters.into_iter().enumerate() {
                let at = totals.as_mut_ptr().add(4 * i);
                vst1q_s32(at, vaddq_s32(vld1q_s32(at), sums));
            }
        }
    }
}

impl Planes for Neon {
    #[inline(always)]
    fn fill_planes<const SIGNED: bool>(self, eight: u64, [lower, upper]: &mut PlanesOfTwo) {
        let factors = const { if SIGNED { factors(1, -1) } else { factors(0, 1) } };
        let fours = eight.to_le_bytes();
        for ((four, lower), upper) in fours.as_chunks::<4>().0.iter().zip(lower).zip(upper) {
            // SAFETY: `self` proves NEON; each half of factors has 8 elements of 2 bytes, and each plane 16 bytes.
            unsafe {
                let mut sums = self.zero_i16();
                for (factors, byte) in factors.iter().zip(four) {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        *sums = vmlaq_n_s16(*sums, vld1q_s16(factors.as_ptr().add(8 * i)), i16::from(*byte as i8));
                    }
                }
                let [low, high] = sums.map(|sums| vreinterpretq_u16_s16(sums));
                let bytes = vmovn_high_u16(vmovn_u16(low), high);
                vst1q_u8(lower.as_mut_ptr(), vandq_u8(bytes, vdupq_n_u8(31)));
                vst1q_u8(upper.as_mut_ptr(), vshrn_high_n_u16::<5>(vshrn_n_u16::<5>(low), high));
            }
        }
    }

    #[inline(always)]
    fn add_planes(self, lower: uint8x16_t, upper: uint8x16_t, [low, high]: [int16x8_t; 2]) -> [int16x8_t; 2] {
        // SAFETY: `self` proves NEON.
        unsafe {
            let upper = vreinterpretq_s8_u8(upper);
            let low = vaddq_s16(low, vshll_n_s8::<5>(vget_low_s8(upper)));
            let high = vaddq_s16(high, vshll_high_n_s8::<5>(upper));
            [
                vreinterpretq_s16_u16(vaddw_u8(vreinterpretq_u16_s16(low), vget_low_u8(lower))),
                vreinterpretq_s16_u16(vaddw_high_u8(vreinterpretq_u16_s16(high), lower)),
            ]
        }
    }
}
