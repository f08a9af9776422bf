//! Adam.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// Adam (Kingma and Ba 2015) as `PyTorch` defines it: `g += weight_decay·w`, `m = β₁m + (1−β₁)g`, `v = β₂v + (1−β₂)g²`,
/// `w −= lr/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε)`; then the clamp.
///
/// `AdamW` (`decoupled`; Loshchilov and Hutter 2019): g stays, and `w −= lr·weight_decay·w` before the step. `AMSGrad` (Reddi et al. 2018):
/// `vmax = max(vmax, v)` stands in the step for v.
///
/// Inputs: w (updated in place), dw, lr `f32[]`, t `f32[]` (1 at the first update of w), m and v (updated in place), and with `amsgrad` vmax (updated in
/// place).
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
    /// Weight decay acts on w itself, scaled by the learning rate, and not through the moments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decoupled: bool,
    /// The step is scaled by the largest second moment so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub amsgrad: bool,
}

impl Operator for Adam {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let &[w, dw, lr, t, ref moments @ ..] = inputs else {
            return Err(Mismatch::new("w, dw, lr and t", format!("{} inputs", inputs.len())));
        };
        let expected = if self.amsgrad { 3 } else { 2 };
        if moments.len() != expected {
            return Err(Mismatch::new(format!("{expected} moments"), format!("{}", moments.len())));
        }
        moments.iter().chain([&dw]).try_for_each(|other| expect::same_f32(w, other))?;
        expect::f32_rank::<0>(lr, "lr")?;
        expect::f32_rank::<0>(t, "t")?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        if self.amsgrad { &[0, 4, 5, 6] } else { &[0, 4, 5] }
    }
}
