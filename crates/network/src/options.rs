//! What training does with gradients and parameters besides updating them.

use binary_nets_exec::MemoryPolicy;
use serde::{Deserialize, Serialize};

use crate::NetworkError;

/// The most batches of one update: their count is a float state, and the upper part of what random numbers depend on.
const MOST_BATCHES: usize = 1 << 24;

/// What training does with gradients and parameters besides updating them. As JSON every field may be left out.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingOptions {
    /// How many batches make an update, which takes the mean of their gradients.
    pub accumulate: usize,
    /// The largest norm of all gradients together: larger ones are scaled down to it.
    pub clip_norm: Option<f32>,
    /// How the gradients of binary convolutions are multiplied.
    pub gradients: Gradients,
    /// How the slopes of pseudo-gradients wait for backward.
    pub slopes: Slopes,
    /// The decay of the averages that follow trained parameters and running statistics, in `[0, 1)`.
    pub average: Option<f64>,
    /// What a step keeps and what it computes again; the bits of its results are the same.
    pub memory: MemoryPolicy,
}

/// How the gradients of binary and ternary convolutions are multiplied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gradients {
    /// In f32.
    #[default]
    F32,
    /// As whole numbers of −127 to 127, rounded at random so that their mean stays.
    Fixed,
}

/// How the slopes of pseudo-gradients wait for backward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slopes {
    /// As the input that they are computed from, in f32.
    #[default]
    F32,
    /// Rounded to 8 bits.
    Int8,
}

impl Default for TrainingOptions {
    /// One batch an update, no clipping, no averages, gradients and slopes in f32, balanced memory.
    fn default() -> Self {
        Self {
            accumulate: 1,
            clip_norm: None,
            gradients: Gradients::default(),
            slopes: Slopes::default(),
            average: None,
            memory: MemoryPolicy::default(),
        }
    }
}

impl TrainingOptions {
    /// Fails with [`NetworkError::Argument`] where an option is impossible.
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        let Self { accumulate, clip_norm, average, gradients: _, slopes: _, memory: _ } = self;
        let wrong = |name: &str, expected: &str, got: String| {
            Err(NetworkError::Argument(format!("{name}: expected {expected}, got {got}")))
        };
        if !(1..=MOST_BATCHES).contains(accumulate) {
            return wrong("accumulate", &format!("1 to {MOST_BATCHES} batches"), accumulate.to_string());
        }
        if let Some(norm) = clip_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return wrong("clip_norm", "a finite norm above 0", norm.to_string());
        }
        if let Some(decay) = average.filter(|decay| !(0.0..1.0).contains(decay)) {
            return wrong("average", "a decay in [0, 1)", decay.to_string());
        }
        Ok(())
    }
}
