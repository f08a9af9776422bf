//! Pseudo-gradients of the binarising activations.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::spec::GraphSpec;
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::{ApplyMask, IntervalMask, custom_gradient, expect};

/// What stands in for the derivative of a step, which is 0 almost everywhere; g is the gradient of the codes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `dx = g` (Bengio et al. 2013).
    Identity,
    /// `dx = g·1[|x| ≤ 1]` (Hubara et al. 2016).
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

/// The formulas of [`Surrogate`] that have a kernel and read x.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SurrogateSlope {
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

/// The slopes of [`SurrogateGrad`] in 8 bits, for backward: a quarter of x.
///
/// Input: x `f32[…]`. Output: `⌊z + fl(s/u)⌉`, ties to even, as integers of 0 to 255 of that shape, where s is the slope at x, 0 for a NaN, and u and z are
/// [`SurrogateSlope::unit_and_zero`]. No gradient.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizeSlope {
    /// The formula.
    pub gradient: SurrogateSlope,
}

/// `dx = dy·(q − z)·u`. Inputs: q, what [`QuantizeSlope`] yields, and dy `f32` of that shape. Output: dx like dy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizedSlopeGrad {
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

impl Operator for QuantizeSlope {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        self.gradient.check()?;
        Ok(vec![ValueMeta::new(BYTES, x.shape.clone())])
    }
}

impl Operator for QuantizedSlopeGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [slope, dy] = expect::inputs(inputs)?;
        expect::f32(dy)?;
        if *slope != ValueMeta::new(BYTES, dy.shape.clone()) {
            return Err(Mismatch::new(format!("slopes of 0 to 255 for {dy}"), slope.to_string()));
        }
        self.gradient.check()?;
        Ok(vec![dy.clone()])
    }
}

/// What a slope of 8 bits is.
const BYTES: Meaning = Meaning::Int { min: 0, max: 255 };

impl SurrogateSlope {
    /// The slope that one step of a byte is worth, and the byte of slope 0. No slope falls outside 0 to 255; the largest, that at x = 0, is 255.
    pub fn unit_and_zero(self) -> (f32, u8) {
        match self {
            Self::Approx => (2.0 / 255.0, 0),
            // The least is −0.074·β.
            Self::Swish { beta } => (beta / 236.0, 19),
        }
    }

    fn check(self) -> Result<(), Mismatch> {
        match self {
            Self::Swish { beta } if !(beta > 0.0 && beta.is_finite()) => {
                Err(Mismatch::new("a finite beta above 0", beta.to_string()))
            }
            Self::Approx | Self::Swish { .. } => Ok(()),
        }
    }
}

impl Surrogate {
    /// Whether the numbers of the formula, or the names of the graph, are possible.
    pub(super) fn check(&self) -> Result<(), Mismatch> {
        match self {
            Self::Identity | Self::Clip => Ok(()),
            Self::Approx => SurrogateSlope::Approx.check(),
            &Self::Swish { beta } => SurrogateSlope::Swish { beta }.check(),
            Self::Custom(spec) => custom_gradient::check(spec),
        }
    }

    /// What the gradient of an activation of `x` needs: x or, of a clip, where it passes.
    pub(super) fn save(&self, f: &mut Forward, x: Value) -> Result<Vec<Value>, GraphError> {
        Ok(match self {
            Self::Identity => Vec::new(),
            Self::Clip => vec![f.emit(IntervalMask { min: -1.0, max: 1.0, flat: true }, &[x])?],
            Self::Approx | Self::Swish { .. } | Self::Custom(_) => vec![x],
        })
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
            Self::Clip => b.emit(ApplyMask { scale: 1.0 }, &[saved[0], g])?,
            Self::Approx => sloped(b, SurrogateSlope::Approx)?,
            &Self::Swish { beta } => sloped(b, SurrogateSlope::Swish { beta })?,
            Self::Custom(spec) => custom_gradient::inline(spec, b, saved[0], g)?,
        };
        Ok(vec![Some(dx)])
    }
}
