use super::Neon;
use crate::vector::Words;
use std::arch::aarch64::*;

impl Words for Neon {
    type U64 = uint8x16_t;
    const LANES: usize = 2;
    /// A byte holds at most 8 ones, and 31 · 8 < 256; even, for pairs are taken two by two.
    const PARTIALS: usize = 30;
    const COMPLEMENTS: Option<u64> = Some(0x0808_0808_0808_0808);

    #[inline(always)]
    fn splat_word(self, x: u64) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vreinterpretq_u8_u64(vdupq_n_u64(x)) }
    }

    #[inline(always)]
    fn load_words(self, x: &[u64]) -> uint8x16_t {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 2 words.
        unsafe { vreinterpretq_u8_u64(vld1q_u64(x.as_ptr())) }
    }

    #[inline(always)]
    fn xor(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { veorq_u8(a, b) }
    }

    #[inline(always)]
    fn carry(self, first: uint8x16_t, second: uint8x16_t, third: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vbslq_u8(second, third, first) }
    }

    #[inline(always)]
    fn add_carry<const COMPLEMENTED: bool>(
        self,
        partial: uint8x16_t,
        first: uint8x16_t,
        second: uint8x16_t,
        third: uint8x16_t,
    ) -> uint8x16_t {
        let count = self.count(self.carry(first, second, third));
        // SAFETY: `self` proves NEON.
        unsafe { if COMPLEMENTED { vsubq_u8(partial, count) } else { vaddq_u8(partial, count) } }
    }

    /// Counts per byte.
    #[inline(always)]
    fn count(self, v: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vcntq_u8(v) }
    }

    #[inline(always)]
    fn add_partial(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vaddq_u8(a, b) }
    }

    /// The count of a lane is kept as the counts of its halves, in 32 bits each; they meet where they are stored.
    #[inline(always)]
    fn widen(self, partial: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vreinterpretq_u8_u32(vpaddlq_u16(vpaddlq_u8(partial))) }
    }

    #[inline(always)]
    fn add(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b))) }
    }

    #[inline(always)]
    fn store_i32(self, counts: uint8x16_t, base: &[i32], factor: i32, out: &mut [i32]) {
        let out = &mut out[..Self::LANES];
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves NEON; the slice above has 2 elements.
        unsafe { vst1_s32(out.as_mut_ptr(), dots) }
    }

    #[inline(always)]
    fn store_i16(self, counts: uint8x16_t, base: &[i32], factor: i32, out: &mut [i16]) {
        let dots = dots(self, counts, base, factor);
        // SAFETY: `self` proves NEON.
        let low_halves = unsafe { vget_lane_s32::<0>(vreinterpret_s32_s16(vmovn_s32(vcombine_s32(dots, dots)))) };
        out[..Self::LANES].copy_from_slice(&bytemuck::cast::<i32, [i16; 2]>(low_halves));
    }
}

/// `base + factor · counts`.
#[inline(always)]
fn dots(_proof: Neon, counts: uint8x16_t, base: &[i32], factor: i32) -> int32x2_t {
    let base = &base[..Neon::LANES];
    // SAFETY: the token proves NEON; the slice above has 2 elements.
    unsafe {
        let halves = vreinterpretq_s32_u8(counts);
        let counts = vpadd_s32(vget_low_s32(halves), vget_high_s32(halves));
        vmla_s32(vld1_s32(base.as_ptr()), counts, vdup_n_s32(factor))
    }
}
