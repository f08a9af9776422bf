use bitvec::{order::Lsb0, slice::BitSlice, view::BitView};

/// Words that hold one group of `channels` bits.
pub const fn words(channels: usize) -> usize {
    channels.div_ceil(64)
}

/// The valid bits of the last word of a group of `channels` bits; all bits when the word is full.
pub const fn tail_mask(channels: usize) -> u64 {
    match channels % 64 {
        0 => u64::MAX,
        tail => (1 << tail) - 1,
    }
}

/// Where the bits of a packed `[rows, groups, words]` tensor lie.
///
/// A feature map `[n, h, w, c]` has `n·h·w` rows; weights `[o, c, kh, kw]` have `o·kh·kw` rows and one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BitLayout {
    /// Pixels, or taps of output channels.
    pub rows: usize,
    /// Groups per row; each starts on a word.
    pub groups: usize,
    /// Channels of one group.
    pub channels: usize,
}

impl BitLayout {
    /// Words of one group.
    pub const fn words(&self) -> usize {
        words(self.channels)
    }

    /// Words of one row.
    pub const fn row_words(&self) -> usize {
        self.groups * self.words()
    }

    /// Words of the whole tensor.
    pub const fn len(&self) -> usize {
        self.rows * self.row_words()
    }

    /// Whether the tensor holds no bit.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels of one row over all its groups: the row length of the unpacked tensor.
    pub const fn row_channels(&self) -> usize {
        self.groups * self.channels
    }

    /// (word, bit within the word) of a channel of a group of a row.
    pub const fn position(&self, row: usize, group: usize, channel: usize) -> (usize, usize) {
        (self.group_start(row, group) + channel / 64, channel % 64)
    }

    /// The valid bits of word `word` of a group.
    pub const fn valid_bits(&self, word: usize) -> u64 {
        if word + 1 == self.words() { tail_mask(self.channels) } else { u64::MAX }
    }

    /// The `channels` bits of one group of one row, for inspection.
    ///
    /// # Panics
    /// If `packed` is shorter than [`len`](Self::len) or the row or group is out of range.
    pub fn group<'a>(&self, packed: &'a [u64], row: usize, group: usize) -> &'a BitSlice<u64, Lsb0> {
        let start = self.group_start(row, group);
        &packed[start..start + self.words()].view_bits()[..self.channels]
    }

    /// As [`group`](Self::group), writable.
    ///
    /// # Panics
    /// If `packed` is shorter than [`len`](Self::len) or the row or group is out of range.
    pub fn group_mut<'a>(&self, packed: &'a mut [u64], row: usize, group: usize) -> &'a mut BitSlice<u64, Lsb0> {
        let start = self.group_start(row, group);
        &mut packed[start..start + self.words()].view_bits_mut()[..self.channels]
    }

    const fn group_start(&self, row: usize, group: usize) -> usize {
        assert!(row < self.rows && group < self.groups, "row or group out of range");
        (row * self.groups + group) * self.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codes;

    #[test]
    fn a_group_starts_on_a_word() {
        let layout = BitLayout { rows: 2, groups: 3, channels: 65 };
        assert_eq!((layout.words(), layout.row_words(), layout.len()), (2, 6, 12));
        assert_eq!(layout.position(0, 0, 63), (0, 63));
        assert_eq!(layout.position(0, 0, 64), (1, 0));
        assert_eq!(layout.position(1, 2, 64), (11, 0));
        assert_eq!(layout.row_channels(), 195);
    }

    #[test]
    fn a_view_shows_the_bits_where_position_says() {
        let layout = BitLayout { rows: 2, groups: 2, channels: 70 };
        for (row, group, channel) in [(0, 0, 0), (0, 1, 69), (1, 0, 63), (1, 1, 64)] {
            let mut packed = vec![0; layout.len()];
            layout.group_mut(&mut packed, row, group).set(channel, true);
            let (word, bit) = layout.position(row, group, channel);
            assert_eq!(packed[word], 1 << bit);
            assert_eq!(packed.iter().map(|w| w.count_ones()).sum::<u32>(), 1);
            assert_eq!(layout.group(&packed, row, group).iter_ones().collect::<Vec<_>>(), [channel]);
        }
    }

    #[test]
    fn the_tail_mask_counts_the_valid_bits() {
        for channels in 1..200 {
            let layout = BitLayout { rows: 1, groups: 1, channels };
            let valid: u32 = (0..layout.words()).map(|word| layout.valid_bits(word).count_ones()).sum();
            assert_eq!(valid as usize, channels);
        }
    }

    #[test]
    fn zero_is_positive_and_off() {
        for zero in [0.0, -0.0, f32::NAN] {
            assert_eq!(Codes::Sign.value(Codes::Sign.bit(zero)), 1);
            assert_eq!(Codes::Step.value(Codes::Step.bit(zero)), 0);
        }
        let tiny = f32::from_bits(1);
        assert_eq!([Codes::Sign.value(Codes::Sign.bit(-tiny)), Codes::Step.value(Codes::Step.bit(tiny))], [-1, 1]);
    }
}
