//! From latent weights to bits and scales.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::{ApplyMask, IntervalMask, expect};

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

/// What `dq` becomes on its way to the latent weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightGradient {
    /// `dw = dq`.
    Identity,
    /// `dw = dq·1[|w| ≤ 1]`.
    Clip,
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
        let scales = match self.scale {
            WeightScale::None | WeightScale::Tensor => 1,
            WeightScale::Group => self.groups,
            WeightScale::Channel => o,
        };
        Ok(vec![ValueMeta::new(Meaning::bits(Codes::Sign), [o, kh, kw, c]), ValueMeta::f32([scales])])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        match self.gradient {
            WeightGradient::Identity => Ok(Vec::new()),
            WeightGradient::Clip => Ok(vec![f.emit(IntervalMask { min: -1.0, max: 1.0 }, inputs)?]),
        }
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        match (dys[0], saved) {
            (Some(dq), &[mask]) => Ok(vec![Some(b.emit(ApplyMask { scale: 1.0 }, &[mask, dq])?)]),
            (dq, _) => Ok(vec![dq]),
        }
    }
}
