//! Pseudo-gradients of the binarising activations.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::spec::GraphSpec;
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::{custom_gradient, expect};

/// What stands in for the derivative of a step, which is 0 almost everywhere; g is the gradient of the codes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `dx = g` (Bengio et al. 2013).
    Identity,
    /// See [`SurrogateSlope::Clip`].
    Clip,
    /// See [`SurrogateSlope::Approx`].
    Approx,
    /// See [`SurrogateSlope::Swish`].
    Swish {
        /// The steepness, above 0; 5 is usual.
        beta: f32,
    },
    /// `dx` is that output of a graph with the inputs `x` and `g`; it may read scalars, and has x's shape.
    Custom(Box<GraphSpec>),
}

/// The formulas of [`Surrogate`] that have a kernel of their own.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SurrogateSlope {
    /// `dx = g·1[|x| ≤ 1]` (Hubara et al. 2016).
    Clip,
    /// `dx = g·(2 − 2|x|)` for `|x| ≤ 1`, else 0 (Bi-Real Net, Liu et al. 2018).
    Approx,
    /// `dx = g·β(2 − βx·tanh(βx/2)) / (1 + cosh(βx))` (BNN+, Darabi et al. 2018).
    Swish {
        /// The steepness.
        beta: f32,
    },
}

/// `dx` of [`super::Sign`] and [`super::Step`]. Inputs: x, dy, both `f32` of one shape. Output: dx of that shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurrogateGrad {
    /// The formula.
    pub gradient: SurrogateSlope,
}

impl Operator for SurrogateGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, dy] = expect::inputs(inputs)?;
        expect::same_f32(x, dy)?;
        self.gradient.check()?;
        Ok(vec![x.clone()])
    }
}

impl SurrogateSlope {
    fn check(self) -> Result<(), Mismatch> {
        match self {
            Self::Swish { beta } if !(beta > 0.0 && beta.is_finite()) => {
                Err(Mismatch::new("a finite beta above 0", beta.to_string()))
            }
            Self::Clip | Self::Approx | Self::Swish { .. } => Ok(()),
        }
    }
}

impl Surrogate {
    const fn slope(&self) -> Option<SurrogateSlope> {
        match self {
            Self::Identity | Self::Custom(_) => None,
            Self::Clip => Some(SurrogateSlope::Clip),
            Self::Approx => Some(SurrogateSlope::Approx),
            &Self::Swish { beta } => Some(SurrogateSlope::Swish { beta }),
        }
    }

    /// Whether the numbers of the formula are possible.
    pub(super) fn check(&self) -> Result<(), Mismatch> {
        self.slope().map_or(Ok(()), SurrogateSlope::check)
    }

    /// The input of an activation, where its surrogate needs it.
    pub(super) fn saved_input(&self, inputs: &[Value]) -> Vec<Value> {
        if *self == Self::Identity { Vec::new() } else { inputs.to_vec() }
    }

    /// The gradient of an activation's input.
    pub(super) fn vjp(
        &self,
        b: &mut Backward,
        saved: &[Value],
        dys: &[Option<Value>],
    ) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[x], &[Some(g)]) = (saved, dys) else { return Ok(dys.to_vec()) };
        let dx = match (self, self.slope()) {
            (Self::Custom(spec), _) => custom_gradient::inline(spec, b, x, g)?,
            (_, Some(gradient)) => b.emit(SurrogateGrad { gradient }, &[x, g])?,
            (_, None) => g,
        };
        Ok(vec![Some(dx)])
    }
}
