//! Stochastic gradient descent.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `g += weight_decay·w`; with momentum `v = momentum·v + g` and `g = v`, or with Nesterov `g += momentum·v`; `w −= lr·g`; then the clamp.
/// As `PyTorch` defines it.
///
/// Inputs: w (updated in place), dw, lr `f32[]`, and with momentum v (updated in place).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// 0 for none.
    pub momentum: f32,
    /// Nesterov's form of the momentum.
    pub nesterov: bool,
    /// The factor of w in the gradient.
    pub weight_decay: f32,
    /// Latent weights stay within `[−clamp, clamp]`.
    pub clamp: Option<f32>,
}

impl Operator for Sgd {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let &[w, dw, lr, ref moments @ ..] = inputs else {
            return Err(Mismatch::new("w, dw and lr", format!("{} inputs", inputs.len())));
        };
        expect::same_f32(w, dw)?;
        expect::f32_rank::<0>(lr, "lr")?;
        match (moments, self.momentum != 0.0) {
            ([], false) => Ok(Vec::new()),
            ([v], true) => expect::same_f32(w, v).map(|()| Vec::new()),
            _ => Err(Mismatch::new("a velocity where there is momentum", format!("{} moments", moments.len()))),
        }
    }

    fn writes(&self) -> &'static [usize] {
        if self.momentum == 0.0 { &[0] } else { &[0, 3] }
    }
}
