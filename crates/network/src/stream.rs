//! Random numbers of a tensor: each is a pure function of (seed, name, index).

/// A stream of numbers that can be asked for by their index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream of a seed and a name.
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a of the name gives each tensor a stream of its own.
        let name = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mix(seed ^ mix(name)))
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(self, i: u64) -> f64 {
        (mix(self.0.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, of mean 0 and deviation 1 (Box and Muller 1958), from the uniform numbers `2i` and `2i + 1`.
    pub fn normal(self, i: u64) -> f64 {
        // 1 − u lies in (0, 1].
        (-2.0 * (1.0 - self.uniform(2 * i)).ln()).sqrt() * (std::f64::consts::TAU * self.uniform(2 * i + 1)).cos()
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
