//! The transpose of bits: from rows of columns to columns of rows.

/// Rows of bits.
const ROWS: usize = 32;

/// Bit k of lane i becomes bit i of row k, by exchanging ever smaller blocks.
#[inline(always)]
pub fn transpose(rows: &[u64; ROWS], lanes: &mut [u32; 2 * ROWS]) {
    let (low, high) = lanes.split_at_mut(ROWS);
    for (k, row) in rows.iter().enumerate() {
        low[k] = *row as u32;
        high[k] = (row >> 32) as u32;
    }
    for half in [low, high] {
        let mut block = 16;
        let mut mask = 0x0000_ffff_u32;
        while block > 0 {
            for start in (0..ROWS).step_by(2 * block) {
                for i in start..start + block {
                    let swapped = ((half[i] >> block) ^ half[i + block]) & mask;
                    half[i + block] ^= swapped;
                    half[i] ^= swapped << block;
                }
            }
            block /= 2;
            mask ^= mask << block;
        }
    }
}
