//! How many signs of latent weights change.

use binary_nets_exec::Backend;
use binary_nets_graph::ops::StateKind;

use crate::{Network, NetworkError};

/// One bit a weight, set where it is negative; 0 counts as positive, as it does when it is binarised.
fn packed(weights: &[f32]) -> Vec<u64> {
    let word = |weights: &[f32]| weights.iter().rfold(0, |word, &w| word << 1 | u64::from(w < 0.0));
    weights.chunks(64).map(word).collect()
}

impl<B: Backend> Network<B> {
    /// The signs of all latent weights, one bit each; every tensor starts on a word.
    pub fn signs(&self) -> Result<Vec<u64>, NetworkError> {
        let latent = self.states().filter(|state| state.kind == StateKind::Latent);
        let words =
            latent.map(|state| Ok(packed(&self.state(&state.path)?))).collect::<Result<Vec<_>, NetworkError>>()?;
        Ok(words.concat())
    }

    /// How many latent weights have another sign than in what [`Self::signs`] gave, and how many latent weights there are.
    pub fn flipped_signs(&self, before: &[u64]) -> Result<(u64, u64), NetworkError> {
        let now = self.signs()?;
        if before.len() != now.len() {
            let message = format!("the network has {} words of signs, {} were given", now.len(), before.len());
            return Err(NetworkError::Argument(message));
        }
        let total = self.states().filter(|s| s.kind == StateKind::Latent).map(|s| s.shape.elements() as u64).sum();
        let flipped = before.iter().zip(&now).map(|(a, b)| u64::from((a ^ b).count_ones())).sum();
        Ok((flipped, total))
    }
}
