use super::{Sampler, order_random};
use crate::DataError;

/// Samples drawn with replacement, each with a probability in proportion to its weight.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// `cumulative[i]` is the sum of the weights `0..=i`.
    cumulative: Vec<f64>,
    len: usize,
    seed: u64,
}

impl Weighted {
    /// Draws `len` samples an epoch; `weights[i] >= 0` belongs to sample `i`, and 0 means never.
    ///
    /// Fails when a weight is negative or not finite, or when they do not sum to something positive and finite.
    pub fn new(weights: &[f64], len: usize, seed: u64) -> Result<Self, DataError> {
        if let Some(weight) = weights.iter().find(|weight| !weight.is_finite() || **weight < 0.0) {
            return Err(DataError::option("weights", "finite numbers of at least 0", &weight));
        }
        let mut sum = 0.0;
        let cumulative: Vec<f64> = weights
            .iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        if sum <= 0.0 || !sum.is_finite() {
            return Err(DataError::option("weights", "a positive, finite sum", &sum));
        }
        Ok(Self { cumulative, len, seed })
    }
}

impl Sampler for Weighted {
    fn len(&self) -> usize {
        self.len
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        let random = order_random(self.seed, epoch);
        // A construction that succeeded had weights; (1 - 2^-53) * total rounds below total, so the search finds one.
        let total = self.cumulative[self.cumulative.len() - 1];
        let draw = |place| {
            let threshold = random.unit(place) * total;
            // The first sum above the threshold: a weight of zero adds nothing, so its sum is never the first.
            self.cumulative.partition_point(|&sum| sum <= threshold) as u32
        };
        (0..self.len as u64).map(draw).collect()
    }
}
