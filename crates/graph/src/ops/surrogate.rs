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
    /// Whether the numbers of the formula, or the names of the graph, are possible.
    pub(super) fn check(&self) -> Result<(), Mismatch> {
        match self {
            Self::Identity => Ok(()),
            Self::Clip => SurrogateSlope::Clip.check(),
            Self::Approx => SurrogateSlope::Approx.check(),
            &Self::Swish { beta } => SurrogateSlope::Swish { beta }.check(),
            Self::Custom(spec) => custom_gradient::check(spec),
        }
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
        let Some(g) = dys[0] else { return Ok(vec![None]) };
        let sloped = |b: &mut Backward, gradient| b.emit(SurrogateGrad { gradient }, &[saved[0], g]);
        let dx = match self {
            Self::Identity => g,
            Self::Clip => sloped(b, SurrogateSlope::Clip)?,
            Self::Approx => sloped(b, SurrogateSlope::Approx)?,
            &Self::Swish { beta } => sloped(b, SurrogateSlope::Swish { beta })?,
            Self::Custom(spec) => custom_gradient::inline(spec, b, saved[0], g)?,
        };
        Ok(vec![Some(dx)])
    }
}
