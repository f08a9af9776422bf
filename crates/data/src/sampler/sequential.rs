use super::Sampler;

/// Every sample once, in order: for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Sequential {
    len: usize,
}

impl Sequential {
    /// Visits the samples `0..len`.
    pub fn new(len: usize) -> Self {
        Self { len }
    }
}

impl Sampler for Sequential {
    fn len(&self) -> usize {
        self.len
    }

    fn order(&self, _epoch: u64) -> Vec<u32> {
        (0..self.len as u32).collect()
    }
}
