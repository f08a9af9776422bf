use super::Neon;
use crate::stack_lut::{LANES, Pair};
use crate::vector::Stacks;
use std::arch::aarch64::*;

impl Stacks<Pair> for Neon {
    type Lanes = int16x8_t;
    const WIDTH: usize = 4;

    #[inline(always)]
    fn zero_lanes(self) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_s16(0) }
    }

    #[inline(always)]
    fn load_lanes(self, x: &[Pair]) -> int16x8_t {
        let x = &x[..4];
        // SAFETY: `self` proves NEON; the slice above has 4 elements of 4 bytes.
        unsafe { vld1q_s16(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_lanes(self, v: int16x8_t, x: &mut [Pair]) {
        let x = &mut x[..4];
        // SAFETY: `self` proves NEON; the slice above has 4 elements of 4 bytes.
        unsafe { vst1q_s16(x.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add_lanes(self, a: int16x8_t, b: int16x8_t) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe { vaddq_s16(a, b) }
    }

    #[inline(always)]
    fn subtract_lanes(self, a: int16x8_t, b: int16x8_t) -> int16x8_t {
        // SAFETY: `self` proves NEON.
        unsafe { vsubq_s16(a, b) }
    }

    #[inline(always)]
    fn begin(self, _: &[i32], _: usize) -> int16x8_t {
        Stacks::<Pair>::zero_lanes(self)
    }

    #[inline(always)]
    fn end(self, v: int16x8_t, sums: &mut [i32], lane: usize) {
        // SAFETY: `self` proves NEON.
        let rows = unsafe {
            let v = vreinterpretq_s32_s16(v);
            [vshrq_n_s32::<16>(vshlq_n_s32::<16>(v)), vshrq_n_s32::<16>(v)]
        };
        for (row, sums) in rows.into_iter().zip(sums.chunks_exact_mut(LANES)) {
            let sums = &mut sums[lane..][..4];
            // SAFETY: `self` proves NEON; the slice above has 4 elements of 4 bytes.
            unsafe { vst1q_s32(sums.as_mut_ptr(), vaddq_s32(vld1q_s32(sums.as_ptr()), row)) }
        }
    }
}
