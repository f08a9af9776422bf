//! From latent weights to ternary ones.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::expect;

/// What the gradient of `w_n` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NegativeGradient {
    /// `dw_n = −Σ dq` over the negative weights: the derivative of their value `−w_n`.
    Exact,
    /// `dw_n = +Σ dq`, as the paper has it.
    Published,
}

/// Trained ternary quantization (TTQ, Zhu et al. 2017): `q = w_p` where `w > Δ`, `−w_n` where `w < −Δ`, else 0, with `Δ = fl(fl(threshold)·max |w|)` in
/// f32; as the two planes of bits that say where. A weight
/// that is NaN makes Δ NaN, and all weights 0.
///
/// Inputs: w `f32[o, c/groups, kh, kw]`, `w_p` `f32[1]`, `w_n` `f32[1]`. Outputs: the positive and the negative plane, each `bit(step)[o, kh, kw, c/groups]`.
/// Backward: the gradient of the first output is that of q, in the latent's own shape, and the second has none; see [`TernarizeWeightGrad`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TernarizeWeight {
    /// Δ as a part of the largest magnitude, from 0 to 1.
    pub threshold: f64,
    /// The gradient of `w_n`.
    pub negative_gradient: NegativeGradient,
}

/// The gradients of [`TernarizeWeight`]: `dw = w_p·dq` where the positive plane is set, `w_n·dq` where the negative one is, else `dq`;
/// `dw_p = Σ dq` over the positive plane, `dw_n = ∓Σ dq` over the negative one.
///
/// Inputs: positive plane, negative plane, `w_p`, `w_n`, dq `f32[o, c/groups, kh, kw]`. Outputs: dw `f32[o, c/groups, kh, kw]`, `dw_p` `f32[1]`, `dw_n` `f32[1]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TernarizeWeightGrad {
    /// The gradient of `w_n`.
    pub negative_gradient: NegativeGradient,
}

/// Two planes of ternary weights of one shape; it in the order of latent weights, `[o, c/groups, kh, kw]`.
pub(super) fn plane_extents(positive: &ValueMeta, negative: &ValueMeta) -> Result<[usize; 4], Mismatch> {
    match expect::bits_rank(positive, "a plane of weights")? {
        ([o, kh, kw, c], Codes::Step, 1) if positive == negative => Ok([o, c, kh, kw]),
        _ => Err(Mismatch::new("two planes of weights as bit(step)[o,kh,kw,c]", format!("{positive} and {negative}"))),
    }
}

/// The values of the positive and the negative weights.
pub(super) fn check_values(positive: &ValueMeta, negative: &ValueMeta) -> Result<(), Mismatch> {
    expect::f32_vector(positive, 1, "w_p")?;
    expect::f32_vector(negative, 1, "w_n")
}

impl Operator for TernarizeWeight {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w, positive, negative] = expect::inputs(inputs)?;
        let [o, c, kh, kw] = expect::f32_rank(w, "latent weights")?;
        check_values(positive, negative)?;
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(Mismatch::new("a threshold from 0 to 1", self.threshold.to_string()));
        }
        Ok(vec![ValueMeta::new(Meaning::bits(Codes::Step), [o, kh, kw, c]); 2])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok([outputs, &inputs[1..]].concat())
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dq) = dys[0] else { return Ok(vec![None; 3]) };
        let gradient = TernarizeWeightGrad { negative_gradient: self.negative_gradient };
        let gradients = b.emit_all(gradient, &[saved, &[dq]].concat())?;
        Ok(gradients.into_iter().map(Some).collect())
    }
}

impl Operator for TernarizeWeightGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [positive, negative, w_p, w_n, dq] = expect::inputs(inputs)?;
        let w = plane_extents(positive, negative)?;
        check_values(w_p, w_n)?;
        if *dq != ValueMeta::f32(w) {
            return Err(Mismatch::new(format!("dq {}", ValueMeta::f32(w)), dq.to_string()));
        }
        Ok(vec![ValueMeta::f32(w), ValueMeta::f32([1]), ValueMeta::f32([1])])
    }
}
