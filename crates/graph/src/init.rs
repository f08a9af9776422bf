//! How a state tensor starts.

use serde::{Deserialize, Serialize};

/// How a state tensor starts. Random ones are a pure function of (seed, path, index).
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Init {
    /// Every element is this number.
    Constant(f32),
    /// Uniform between two numbers.
    Uniform {
        /// The smaller one.
        low: f32,
        /// The larger one.
        high: f32,
    },
    /// Normal with mean 0 and variance `2 / (shape[0]·kh·kw)`: He et al. 2015, fan-out, gain of `ReLU`, groups ignored as `PyTorch` does.
    KaimingNormal,
}
