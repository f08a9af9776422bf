use super::Neon;
use crate::vector::Lookups;
use std::arch::aarch64::*;

impl Lookups for Neon {
    type Places = uint32x4_t;

    #[inline(always)]
    fn load_places(self, x: &[u32]) -> uint32x4_t {
        let x = &x[..4];
        // SAFETY: `self` proves NEON; the slice above has 4 elements.
        unsafe { vld1q_u32(x.as_ptr()) }
    }

    #[inline(always)]
    fn next_places(self, places: uint32x4_t) -> uint32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vshrq_n_u32::<4>(places) }
    }

    #[inline(always)]
    fn add_looked_up(self, table: &[f32], places: uint32x4_t, sums: float32x4_t) -> float32x4_t {
        let table = &table[..16];
        // SAFETY: `self` proves NEON; the slice above has 16 elements of 4 bytes, of which the bytes of each lane are neighbours.
        unsafe {
            let first = vmulq_n_u32(vandq_u32(places, vdupq_n_u32(15)), 0x0404_0404);
            let bytes = vaddq_u32(first, vdupq_n_u32(0x0302_0100));
            let table = vld1q_u8_x4(table.as_ptr().cast());
            vaddq_f32(sums, vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes))))
        }
    }
}
