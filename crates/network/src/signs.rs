//! How many signs of latent weights change.

use std::collections::BTreeMap;

use binary_nets_exec::Backend;
use binary_nets_graph::ops::StateKind;

use crate::{Network, NetworkError};

/// The signs of latent weights, one bit each, by path.
pub(crate) type Signs = BTreeMap<String, Vec<u64>>;

/// One bit a weight, set where it is negative; 0 counts as positive, as it does when it is binarised.
fn packed(weights: &[f32]) -> Vec<u64> {
    let word = |weights: &[f32]| weights.iter().rfold(0, |word, &w| word << 1 | u64::from(w < 0.0));
    weights.chunks(64).map(word).collect()
}

impl<B: Backend> Network<B> {
    fn signs(&self) -> Result<Signs, NetworkError> {
        let latent = self.states().filter(|state| state.kind == StateKind::Latent);
        latent.map(|state| Ok((state.path.clone(), packed(&self.state(&state.path)?)))).collect()
    }

    /// Remembers the signs of all latent weights, in memory alone.
    pub fn mark_signs(&mut self) -> Result<(), NetworkError> {
        self.marked = Some(self.signs()?);
        Ok(())
    }

    /// How many latent weights have another sign than at [`Self::mark_signs`], and how many latent weights there are.
    pub fn flipped_signs(&self) -> Result<(u64, u64), NetworkError> {
        let marked =
            self.marked.as_ref().ok_or_else(|| NetworkError::Argument("no signs have been marked".to_owned()))?;
        let total = self.states().filter(|s| s.kind == StateKind::Latent).map(|s| s.shape.elements() as u64).sum();
        let now = self.signs()?;
        let words = marked.values().flatten().zip(now.values().flatten());
        Ok((words.map(|(a, b)| u64::from((a ^ b).count_ones())).sum(), total))
    }
}
