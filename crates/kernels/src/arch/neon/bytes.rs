use super::Neon;
use crate::vector::Bytes;
use std::arch::aarch64::*;

impl Bytes for Neon {
    type U8 = uint8x16_t;
    const LANES: usize = 16;

    #[inline(always)]
    fn zero_bytes(self) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_u8(0) }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8]) -> uint8x16_t {
        let x = &x[..Self::LANES];
        // SAFETY: `self` proves NEON; the slice above has 16 bytes.
        unsafe { vld1q_u8(x.as_ptr()) }
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], indices: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON; the table has 16 bytes.
        unsafe { vqtbl1q_u8(vld1q_u8(table.as_ptr()), indices) }
    }

    #[inline(always)]
    fn add_bytes(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves NEON.
        unsafe { vaddq_u8(a, b) }
    }
}
