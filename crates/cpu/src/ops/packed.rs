//! Rows of packed bits beside rows of floats.

use binary_nets_bits::BitLayout;
use binary_nets_exec::IoMeta;
use binary_nets_graph::{Meaning, ValueMeta};

use super::elementwise::CHUNK;

/// A tensor with a bit an element, cut into chunks of whole rows.
#[derive(Clone, Copy, Debug)]
pub struct PackedRows {
    /// Elements of a row.
    pub channels: usize,
    /// Equal parts of a row, each of which starts on a word.
    groups: usize,
    /// Rows of a chunk.
    rows: usize,
}

impl PackedRows {
    /// The rows of a bit tensor.
    pub fn of(bits: &ValueMeta) -> Self {
        let groups = if let Meaning::Bit { groups, .. } = bits.meaning { groups } else { 1 };
        let channels = bits.shape.channels();
        Self { channels, groups, rows: (CHUNK / channels.max(1)).max(1) }
    }

    /// Where the bits of `rows` rows lie.
    pub fn layout(&self, rows: usize) -> BitLayout {
        BitLayout { rows, groups: self.groups, channels: self.channels / self.groups }
    }

    /// Words of a row.
    pub fn row_words(&self) -> usize {
        self.layout(1).row_words()
    }

    /// Elements of a chunk.
    pub fn chunk(&self) -> usize {
        self.rows * self.channels
    }

    /// Words of a chunk.
    pub fn chunk_words(&self) -> usize {
        self.rows * self.row_words()
    }
}

/// The rows of input `i`, a bit tensor in one group.
pub fn input_rows(io: &IoMeta, i: usize) -> PackedRows {
    PackedRows::of(io.inputs[i])
}

/// All ones where bit `i` of the word is 1, else 0: for masking floats without a branch.
#[inline(always)]
pub fn lane_mask(word: u32, i: usize) -> u32 {
    0u32.wrapping_sub(word >> i & 1)
}

/// `y = f(bit, x)` for each element of a row in one group; the bit as [`lane_mask`] gives it.
#[inline(always)]
pub fn map_bits(words: &[u64], y: &mut [f32], x: &[f32], f: impl Fn(u32, f32) -> f32) {
    for ((&word, y), x) in words.iter().zip(y.chunks_mut(64)).zip(x.chunks(64)) {
        for ((half, y), x) in halves(word).into_iter().zip(y.chunks_mut(32)).zip(x.chunks(32)) {
            y.iter_mut().zip(x).enumerate().for_each(|(lane, (y, &x))| *y = f(lane_mask(half, lane), x));
        }
    }
}

/// As [`map_bits`], with x in y.
#[inline(always)]
pub fn map_bits_in_place(words: &[u64], y: &mut [f32], f: impl Fn(u32, f32) -> f32) {
    for (&word, y) in words.iter().zip(y.chunks_mut(64)) {
        for (half, y) in halves(word).into_iter().zip(y.chunks_mut(32)) {
            y.iter_mut().enumerate().for_each(|(lane, y)| *y = f(lane_mask(half, lane), *y));
        }
    }
}

/// A word as its low and its high bits.
#[inline(always)]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}
