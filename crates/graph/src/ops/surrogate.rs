//! Pseudo-gradients of the binarising activations.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::expect;

/// What stands in for the derivative of a step, which is 0 almost everywhere.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `dx = g` (Bengio et al. 2013).
    Identity,
    /// `dx = g·1[|x| ≤ 1]` (Hubara et al. 2016).
    Clip,
    /// `dx = g·(2 − 2|x|)` for `|x| ≤ 1`, else 0 (Bi-Real Net, Liu et al. 2018).
    Approx,
}

/// `dx` of [`super::Sign`] and [`super::Step`]. Inputs: x, dy, both `f32` of one shape. Output: dx of that shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurrogateGrad {
    /// The formula.
    pub gradient: Surrogate,
}

impl Operator for SurrogateGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, dy] = expect::inputs(inputs)?;
        expect::same_f32(x, dy)?;
        Ok(vec![x.clone()])
    }
}

/// The input of an activation, where its surrogate needs it.
pub(super) fn saved_input(gradient: Surrogate, inputs: &[Value]) -> Vec<Value> {
    match gradient {
        Surrogate::Identity => Vec::new(),
        Surrogate::Clip | Surrogate::Approx => inputs.to_vec(),
    }
}

/// The gradient of an activation's input.
pub(super) fn vjp(
    gradient: Surrogate,
    b: &mut Backward,
    saved: &[Value],
    dys: &[Option<Value>],
) -> Result<Vec<Option<Value>>, GraphError> {
    match (saved, dys) {
        (&[x], &[Some(dy)]) => Ok(vec![Some(b.emit(SurrogateGrad { gradient }, &[x, dy])?)]),
        _ => Ok(dys.to_vec()),
    }
}
