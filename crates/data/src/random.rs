//! Counter-based random numbers.

/// 2^64 divided by the golden ratio, made odd: the step of `SplitMix64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers in which every number can be asked for by its place.
///
/// Place `i` of the stream with key `k` is output `i` of `SplitMix64` (Steele, Lea, Flood 2014) seeded with `k`:
/// `mix(k + (i + 1) * GOLDEN)`. Nothing is carried from one number to the next, so a number depends only on its key
/// and its place — never on which thread asks, or on what was asked before. A number of one stream serves as the key
/// of another ([`Random::child`]); so a path such as seed, purpose, epoch, position names a stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    key: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: seed }
    }

    /// The stream whose key is the number at `place`.
    #[must_use]
    pub fn child(self, place: u64) -> Self {
        Self { key: self.at(place) }
    }

    /// The 64 random bits at `place`.
    pub fn at(self, place: u64) -> u64 {
        let z = self.key.wrapping_add(place.wrapping_add(1).wrapping_mul(GOLDEN));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The integer at `place`, uniform in `0..bound` up to a bias of `bound / 2^64`; 0 when `bound` is 0.
    pub fn below(self, place: u64, bound: usize) -> usize {
        ((u128::from(self.at(place)) * bound as u128) >> 64) as usize
    }

    /// The number at `place`, uniform in `[0, 1)` in steps of 2^-53.
    pub fn unit(self, place: u64) -> f64 {
        (self.at(place) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Permutes `items` (Fisher and Yates) with the first `items.len()` numbers of the stream.
    pub fn shuffle<T>(self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64, last + 1));
        }
    }
}
