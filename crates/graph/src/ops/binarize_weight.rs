//! From latent weights to bits and scales.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::spec::GraphSpec;
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::{ApplyMask, Arithmetic, BroadcastTo, IntervalMask, Reduce, Reduction, Reshape, custom_gradient, expect};

/// Over which part of the weights `α = mean |w|` is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightScale {
    /// `α = 1`.
    None,
    /// One α for the tensor (`DoReFa`, Zhou et al. 2016).
    Tensor,
    /// One α for each of the groups.
    Group,
    /// One α for each output channel (XNOR-Net, Rastegari et al. 2016).
    Channel,
}

/// What `dq`, the gradient of `q = α·sign(w)`, becomes on its way to the latent weights.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightGradient {
    /// `dw = dq`.
    Identity,
    /// `dw = dq·1[|w| ≤ 1]`.
    Clip,
    /// `dw = α·dq·1[|w| ≤ 1]` (Larq's magnitude-aware sign; Bi-Real Net, Liu et al. 2018).
    Magnitude,
    /// `dw_i = sign(w_i)/n·Σ_j dq_j·sign(w_j) + α·dq_i·1[|w_i| ≤ 1]` over the n weights that share the α (XNOR-Net, Rastegari et al. 2016, with the
    /// derivative of α as it is); without a scale α is 1 and has no derivative, so the first term is absent. The paper's bound is `|w| < 1`: here weights
    /// that an update has clamped to ±1 go on learning.
    Xnor,
    /// `dx` is that output of a graph with the inputs `x`, the latent weights, and `g`, which is dq; it may read scalars, and has x's shape.
    Custom(Box<GraphSpec>),
}

/// `q = α·sign(w)` with `sign(0) = +1` and α detached, as two values.
///
/// Input: w `f32[o, c/groups, kh, kw]`. Outputs: bits `[o, kh, kw, c/groups]`; α `f32[1]`, `f32[groups]` or `f32[o]`.
/// Backward: the gradient of the bits is that of q, in the latent's own shape; α has none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinarizeWeight {
    /// The part that shares an α.
    pub scale: WeightScale,
    /// From `dq` to `dw`.
    pub gradient: WeightGradient,
    /// The groups of the convolution.
    pub groups: usize,
}

impl Operator for BinarizeWeight {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w] = expect::inputs(inputs)?;
        let [o, c, kh, kw] = expect::f32_rank(w, "latent weights")?;
        if self.groups == 0 || o % self.groups != 0 {
            return Err(Mismatch::new(format!("output channels divisible by {} groups", self.groups), o.to_string()));
        }
        if let WeightGradient::Custom(spec) = &self.gradient {
            custom_gradient::check(spec)?;
        }
        let scales = match self.scale {
            WeightScale::None | WeightScale::Tensor => 1,
            WeightScale::Group => self.groups,
            WeightScale::Channel => o,
        };
        Ok(vec![ValueMeta::new(Meaning::bits(Codes::Sign), [o, kh, kw, c]), ValueMeta::f32([scales])])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        let mut mask = |min, max| f.emit(IntervalMask { min, max, flat: true }, inputs);
        Ok(match &self.gradient {
            WeightGradient::Identity => Vec::new(),
            WeightGradient::Clip => vec![mask(-1.0, 1.0)?],
            WeightGradient::Magnitude => vec![mask(-1.0, 1.0)?, outputs[1]],
            WeightGradient::Xnor => vec![mask(-1.0, 1.0)?, outputs[1], mask(0.0, f32::MAX)?],
            WeightGradient::Custom(_) => inputs.to_vec(),
        })
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dq) = dys[0] else { return Ok(vec![None]) };
        let dw = match &self.gradient {
            WeightGradient::Identity => dq,
            WeightGradient::Clip => b.emit(ApplyMask { scale: 1.0 }, &[saved[0], dq])?,
            WeightGradient::Magnitude => self.scaled_inside(b, saved[0], saved[1], dq)?,
            WeightGradient::Xnor => {
                let through_sign = self.scaled_inside(b, saved[0], saved[1], dq)?;
                if self.scale == WeightScale::None {
                    through_sign
                } else {
                    let through_scale = Self::through_scale(b, saved[2], saved[1], dq)?;
                    b.emit(Arithmetic::ADD, &[through_scale, through_sign])?
                }
            }
            WeightGradient::Custom(spec) => custom_gradient::inline(spec, b, saved[0], dq)?,
        };
        Ok(vec![Some(dw)])
    }
}

impl BinarizeWeight {
    /// `α·dq·1[|w| ≤ 1]`
    fn scaled_inside(&self, b: &mut Backward, inside: Value, alpha: Value, dq: Value) -> Result<Value, GraphError> {
        let inside = b.emit(ApplyMask { scale: 1.0 }, &[inside, dq])?;
        if self.scale == WeightScale::None {
            return Ok(inside);
        }
        let alpha = of_outputs(b, alpha)?;
        b.emit(Arithmetic::MUL, &[inside, alpha])
    }

    /// `sign(w_i)/n·Σ_j dq_j·sign(w_j)`
    fn through_scale(b: &mut Backward, positive: Value, alpha: Value, dq: Value) -> Result<Value, GraphError> {
        let shape = b.input(0).shape.clone();
        let parts = b.graph.meta(alpha).shape.elements();
        let signed = signed(b, positive, dq)?;
        let sums = b.emit(Reduce { reduction: Reduction::Sum, axes: vec![1, 2, 3], keep: false }, &[signed])?;
        let sums = b.emit(Reshape { dims: vec![parts as i64, -1] }, &[sums])?;
        let sums = b.emit(Reduce { reduction: Reduction::Sum, axes: vec![1], keep: false }, &[sums])?;
        let n = b.number((shape.elements() / parts) as f32)?;
        let shares = b.emit(Arithmetic::DIV, &[sums, n])?;
        let shares = of_outputs(b, shares)?;
        let shares = b.emit(BroadcastTo { shape }, &[shares])?;
        self::signed(b, positive, shares)
    }
}

/// Numbers of the parts that share an α, `f32[1]`, `f32[groups]` or `f32[o]`, as `f32[o, 1, 1, 1]`, or stretching to it.
fn of_outputs(b: &mut Backward, parts: Value) -> Result<Value, GraphError> {
    let (n, o) = (b.graph.meta(parts).shape.elements(), b.input(0).shape[0]);
    let spread = if n == 1 || n == o {
        parts
    } else {
        let column = b.emit(Reshape { dims: vec![n as i64, 1] }, &[parts])?;
        b.emit(BroadcastTo { shape: [n, o / n].into() }, &[column])?
    };
    b.emit(Reshape { dims: vec![-1, 1, 1, 1] }, &[spread])
}

/// `sign·x`, as `2x − x` where the sign is positive and `0 − x` elsewhere: exact.
fn signed(b: &mut Backward, positive: Value, x: Value) -> Result<Value, GraphError> {
    let twice = b.emit(ApplyMask { scale: 2.0 }, &[positive, x])?;
    b.emit(Arithmetic::SUB, &[twice, x])
}
