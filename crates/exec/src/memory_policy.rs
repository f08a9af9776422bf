//! What memory is worth.

use serde::{Deserialize, Serialize};

/// What a training step keeps and what it computes again: never what it computes, so every policy gives the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryPolicy {
    /// Nothing is computed twice.
    Speed,
    /// What is cheap to compute is computed again, where that lowers the peak.
    #[default]
    Balanced,
    /// The least memory that computing again brings.
    Min,
}

impl MemoryPolicy {
    /// The least number of bytes that the peak must fall by for each byte of work that is done again; `None` where nothing is.
    pub(crate) const fn least_gain(self) -> Option<f64> {
        match self {
            Self::Speed => None,
            Self::Balanced => Some(0.14),
            Self::Min => Some(0.02),
        }
    }
}
