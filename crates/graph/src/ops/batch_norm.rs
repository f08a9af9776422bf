//! Batch normalisation over all axes but the last.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::expect;

/// `y = γ·(x − mean)/√(var + ε) + β` with the statistics of this batch (Ioffe and Szegedy 2015).
///
/// Inputs: x `f32[…, c]`, γ, β, running mean, running variance, each `f32[c]`; the running ones are read by the passes
/// `attach_statistics` and `evaluation` alone. Outputs: y `f32[…, c]`; mean and biased variance of the batch, `f32[c]`.
///
/// With integers d of 16 bits in the place of x, and α as the last input, `f32[1]` or one for so many consecutive channels, x is `fl(α·fl(d))`: what
/// [`super::BinaryConv2d`] yields, in half the bytes. So it is with [`BatchNormFused`] and [`BatchNormGrad`]; the pass `keep_integers` makes them so.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
    /// The weight of the new statistics in the running ones, `PyTorch`'s meaning.
    pub momentum: f64,
}

/// [`BatchNorm`] and what stands right behind it, in one sweep: `max(y + other, 0)` or a part of that. The pass `fuse_norms` makes it, behind all gradients.
///
/// Inputs: x `f32[…, c]`, γ, β, each `f32[c]`, and the other like y where it is added. Outputs as those of [`BatchNorm`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormFused {
    /// Added to the variance.
    pub eps: f64,
    /// Whether another map is added.
    pub add: bool,
    /// Whether the result is rectified.
    pub relu: bool,
}

/// Gradients of [`BatchNorm`]. Inputs: x, γ, mean, variance, dy. Outputs: dx, dγ, dβ.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormGrad {
    /// Added to the variance.
    pub eps: f64,
}

/// [`BatchNorm`] with given statistics. Inputs: x `f32[…, c]`, γ, β, mean, variance. Output: like x.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormInference {
    /// Added to the variance.
    pub eps: f64,
}

/// How running statistics follow those of the batches.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StatisticsMomentum {
    /// `running += momentum·(batch − running)`.
    Fixed(f64),
    /// The plain mean over all batches since step 0.
    Cumulative,
}

/// Moves running statistics towards those of a batch; the variance unbiased, `n/(n−1)`.
///
/// Inputs: running mean, running variance (both updated in place), mean, biased variance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateStatistics {
    /// How fast.
    pub momentum: StatisticsMomentum,
    /// The number of elements that each statistic was taken over.
    pub count: usize,
}

/// x of rank 2 or more and four vectors of its channels.
fn check(x: &ValueMeta, vectors: &[(&ValueMeta, &str)], eps: f64) -> Result<(), Mismatch> {
    expect::f32(x)?;
    if x.shape.len() < 2 {
        return Err(Mismatch::new("x as an f32 tensor of rank 2 or more", x.to_string()));
    }
    if eps < 0.0 || !eps.is_finite() {
        return Err(Mismatch::new("an eps of 0 or more", eps.to_string()));
    }
    vectors.iter().try_for_each(|(v, what)| expect::f32_vector(v, x.shape.channels(), what))
}

/// Whether integers may stand for what a norm reads: those of 16 bits with a sign.
pub(crate) fn norm_takes(meaning: Meaning) -> bool {
    let most = i64::from(i16::MAX);
    matches!(meaning, Meaning::Int { min, max } if (-most..0).contains(&min) && max <= most)
}

/// The inputs; with integers first, the floats that they stand for in their place, and without α.
fn floats(inputs: &[&ValueMeta]) -> Result<Vec<ValueMeta>, Mismatch> {
    let owned = |metas: &[&ValueMeta]| metas.iter().map(|&meta| meta.clone()).collect::<Vec<_>>();
    let &[x, ref rest @ .., alpha] = inputs else { return Ok(owned(inputs)) };
    if !matches!(x.meaning, Meaning::Int { .. }) {
        return Ok(owned(inputs));
    }
    if !norm_takes(x.meaning) {
        return Err(Mismatch::new("integers of 16 bits with a sign", x.to_string()));
    }
    let channels = x.shape.last().copied().unwrap_or(0);
    match alpha.shape[..] {
        [factors] if factors > 0 && alpha.meaning == Meaning::F32 && channels.is_multiple_of(factors) => {}
        _ => return Err(Mismatch::new(format!("α for equal parts of {channels} channels"), alpha.to_string())),
    }
    Ok([vec![ValueMeta::f32(x.shape.clone())], owned(rest)].concat())
}

impl Operator for BatchNorm {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let inputs = floats(inputs)?;
        let [x, gamma, beta, mean, var] = expect::inputs(&inputs.iter().collect::<Vec<_>>())?;
        check(x, &[(gamma, "gamma"), (beta, "beta"), (mean, "running mean"), (var, "running variance")], self.eps)?;
        Ok(vec![x.clone(), gamma.clone(), gamma.clone()])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![inputs[0], inputs[1], outputs[1], outputs[2]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy), None, None] = dys else { return Err(b.not_differentiable()) };
        let &[x, gamma, mean, variance] = saved else { return Err(b.not_differentiable()) };
        let grads = b.emit_all(BatchNormGrad { eps: self.eps }, &[x, gamma, mean, variance, dy])?;
        Ok(vec![Some(grads[0]), Some(grads[1]), Some(grads[2]), None, None])
    }
}

impl Operator for BatchNormFused {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let inputs = floats(inputs)?;
        let inputs: Vec<_> = inputs.iter().collect();
        let [x, gamma, beta] = if self.add {
            let [x, gamma, beta, other] = expect::inputs(&inputs)?;
            expect::same_f32(x, other)?;
            [x, gamma, beta]
        } else {
            expect::inputs(&inputs)?
        };
        if !self.add && !self.relu {
            return Err(Mismatch::new("a sum or a rectifier behind the norm", "neither"));
        }
        check(x, &[(gamma, "gamma"), (beta, "beta")], self.eps)?;
        Ok(vec![x.clone(), gamma.clone(), gamma.clone()])
    }
}

impl Operator for BatchNormGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let inputs = floats(inputs)?;
        let [x, gamma, mean, var, dy] = expect::inputs(&inputs.iter().collect::<Vec<_>>())?;
        check(x, &[(gamma, "gamma"), (mean, "mean"), (var, "variance")], self.eps)?;
        expect::same_f32(x, dy)?;
        Ok(vec![x.clone(), gamma.clone(), gamma.clone()])
    }
}

impl Operator for BatchNormInference {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, gamma, beta, mean, var] = expect::inputs(inputs)?;
        check(x, &[(gamma, "gamma"), (beta, "beta"), (mean, "mean"), (var, "variance")], self.eps)?;
        Ok(vec![x.clone()])
    }
}

impl Operator for UpdateStatistics {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [running_mean, running_var, mean, var] = expect::inputs(inputs)?;
        expect::same_f32(running_mean, mean)?;
        expect::same_f32(running_var, var)?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 1]
    }
}
