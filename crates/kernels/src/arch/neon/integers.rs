use super::Neon;
use crate::vector::Integers;
use std::{arch::aarch64::*, array::from_fn};

impl Integers for Neon {
    #[inline(always)]
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64 {
        let inside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 8]);
            // SAFETY: `self` proves NEON; the slices have 8 elements.
            unsafe {
                let [x, low, high] = [x, low, high].map(|v| vld1q_s16(v.as_ptr()));
                vreinterpretq_u8_u16(vandq_u16(vcleq_s16(low, x), vcleq_s16(x, high)))
            }
        };
        // SAFETY: `self` proves NEON. The even bytes of 16 masks, one a mask.
        bits(self, from_fn(|i| unsafe { vuzp1q_u8(inside(16 * i), inside(16 * i + 8)) }))
    }

    #[inline(always)]
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64 {
        let inside = |start: usize| {
            let [x, low, high] = [x, low, high].map(|all| &all[start..start + 4]);
            // SAFETY: `self` proves NEON; the slices have 4 elements.
            unsafe {
                let [x, low, high] = [x, low, high].map(|v| vld1q_s32(v.as_ptr()));
                vreinterpretq_u16_u32(vandq_u32(vcleq_s32(low, x), vcleq_s32(x, high)))
            }
        };
        // SAFETY: `self` proves NEON. The even halves of 8 masks.
        let inside_8 = |start| unsafe { vreinterpretq_u8_u16(vuzp1q_u16(inside(start), inside(start + 4))) };
        // SAFETY: `self` proves NEON. The even bytes of 16 masks, one a mask.
        bits(self, from_fn(|i| unsafe { vuzp1q_u8(inside_8(16 * i), inside_8(16 * i + 8)) }))
    }
}

/// Bit i = byte i of 64 bytes, each 0 or 255. Byte i keeps bit i mod 8, and three sums of neighbours join eight of them.
#[inline(always)]
fn bits(_proof: Neon, bytes: [uint8x16_t; 4]) -> u64 {
    // SAFETY: the token proves NEON.
    unsafe {
        let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
        let [a, b, c, d] = bytes.map(|bytes| vandq_u8(bytes, bit));
        let fours = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(fours, fours)))
    }
}
