//! The order in which samples are visited.

mod balanced;
mod sequential;
mod shuffle;
mod weighted;

use serde::{Deserialize, Serialize};

use crate::Random;

pub use balanced::Balanced;
pub use sequential::Sequential;
pub use shuffle::Shuffle;
pub use weighted::Weighted;

/// The order in which an epoch visits the samples, as a pure function of the epoch.
///
/// Nothing else is remembered from batch to batch, so a [`SamplerState`] is all that resuming needs.
pub trait Sampler: Send + Sync {
    /// How many samples an epoch visits, the same in every epoch.
    fn len(&self) -> usize;

    /// Whether an epoch visits nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The indices of the samples in the order in which `epoch` visits them, `[len]`.
    fn order(&self, epoch: u64) -> Vec<u32>;

    /// The only batch size that makes sense, where the sampler composes batches.
    fn batch_size(&self) -> Option<usize> {
        None
    }
}

/// Where a run stands: `position` samples of `epoch` were visited. With the same sampler and options, a loader that
/// starts here yields what an uninterrupted one would have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerState {
    /// The epoch, from 0.
    pub epoch: u64,
    /// How many samples of the epoch's order were handed out.
    pub position: u64,
}

/// The stream for the order of an epoch; place 0 of a seed's stream is set aside for it.
fn order_random(seed: u64, epoch: u64) -> Random {
    Random::new(seed).child(0).child(epoch)
}
