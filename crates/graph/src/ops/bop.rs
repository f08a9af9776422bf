//! Updates of binary weights without latent ones.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// Bop (Helwegen et al. 2019): `m ← (1−γ)m + γg`; a weight flips where `|m| > threshold` and `sign(m) = sign(w)`. What it writes is ±1, whatever stood
/// there before; the sign of 0 is +1.
///
/// Inputs: w (updated in place), dw, γ `f32[]`, m (updated in place).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bop {
    /// How large m must be to flip a weight: 0 or more.
    pub threshold: f32,
}

impl Operator for Bop {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w, dw, gamma, m] = expect::inputs(inputs)?;
        expect::same_f32(w, dw)?;
        expect::same_f32(w, m)?;
        expect::f32_rank::<0>(gamma, "the rate")?;
        if self.threshold >= 0.0 && self.threshold.is_finite() {
            Ok(Vec::new())
        } else {
            Err(Mismatch::new("a threshold of 0 or more", self.threshold.to_string()))
        }
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 3]
    }
}
