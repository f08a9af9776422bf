use super::{Sampler, order_random};

/// Every sample once an epoch, in an order that is drawn anew for each epoch.
#[derive(Clone, Copy, Debug)]
pub struct Shuffle {
    len: usize,
    seed: u64,
}

impl Shuffle {
    /// Visits the samples `0..len`.
    pub fn new(len: usize, seed: u64) -> Self {
        Self { len, seed }
    }
}

impl Sampler for Shuffle {
    fn len(&self) -> usize {
        self.len
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len as u32).collect();
        order_random(self.seed, epoch).shuffle(&mut order);
        order
    }
}
