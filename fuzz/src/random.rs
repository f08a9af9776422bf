//! Numbers of a linear congruential generator.

/// A state.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 1 | 1)
    }

    /// An integer below `bound`, which is 1 or more.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
