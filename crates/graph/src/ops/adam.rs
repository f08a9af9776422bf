//! Adam.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// Adam (Kingma and Ba 2015) as `PyTorch` defines it: `g += weight_decay·w`, `m = β₁m + (1−β₁)g`, `v = β₂v + (1−β₂)g²`,
/// `w −= lr/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε)`; then the clamp.
///
/// Inputs: w (updated in place), dw, lr `f32[]`, t `f32[]` (1 at the first step), m and v (updated in place).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// The decay of the first moment.
    pub beta1: f64,
    /// The decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// The factor of w in the gradient.
    pub weight_decay: f32,
    /// Latent weights stay within `[−clamp, clamp]`.
    pub clamp: Option<f32>,
}

/// `x += 1`. Input: a state `f32[]`, updated in place: how many updates an optimizer has made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increment {}

impl Operator for Adam {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w, dw, lr, t, m, v] = expect::inputs(inputs)?;
        for other in [dw, m, v] {
            expect::same_f32(w, other)?;
        }
        expect::f32_rank::<0>(lr, "lr")?;
        expect::f32_rank::<0>(t, "t")?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 4, 5]
    }
}

impl Operator for Increment {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32_rank::<0>(x, "a counter")?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}
