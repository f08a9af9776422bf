use super::Neon;
use crate::vector::Floats;
use std::arch::aarch64::*;

impl Floats for Neon {
    type F32 = float32x4_t;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> float32x4_t {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 4 elements.
        unsafe { vld1q_f32(x.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: float32x4_t, x: &mut [f32]) {
        let x = &mut x[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 4 elements.
        unsafe { vst1q_f32(x.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn subtract(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn negative(self, v: float32x4_t) -> u64 {
        // SAFETY: `self` proves NEON.
        unsafe { bits(self, vcltzq_f32(v)) }
    }

    #[inline(always)]
    fn positive(self, v: float32x4_t) -> u64 {
        // SAFETY: `self` proves NEON.
        unsafe { bits(self, vcgtzq_f32(v)) }
    }
}

/// Bit i = lane i of a comparison.
#[inline(always)]
fn bits(proof: Neon, compared: uint32x4_t) -> u64 {
    // SAFETY: the token proves NEON.
    unsafe { vaddvq_u32(vandq_u32(compared, lane_bits(proof))).into() }
}

/// Lane i = 2^i.
#[inline(always)]
fn lane_bits(_proof: Neon) -> uint32x4_t {
    // SAFETY: the token proves NEON; the array has 4 elements.
    unsafe { vld1q_u32([1, 2, 4, 8].as_ptr()) }
}
