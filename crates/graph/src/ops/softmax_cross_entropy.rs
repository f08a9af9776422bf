//! The classification loss and its count of hits.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::expect;

/// The batch mean of `−Σ_c t_c·log softmax(logits)_c` with `t = (1 − e)·onehot + e/C`.
///
/// Inputs: logits `f32[n, C]`, label `index(C)[n]`. Output: `f32[]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxCrossEntropy {
    /// The smoothing e, in `[0, 1]`.
    pub label_smoothing: f32,
}

/// `dlogits = dloss·(softmax(logits) − t)/n` of [`SoftmaxCrossEntropy`]. Inputs: logits, label, dloss. Output: like logits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxCrossEntropyGrad {
    /// The smoothing e.
    pub label_smoothing: f32,
}

/// How many of the samples have their label among the `k` largest logits; of equal logits the first counts as larger.
///
/// Inputs: logits `f32[n, C]`, label `index(C)[n]`. Output: `f32[]`. No gradient.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountCorrect {
    /// 1 for top-1.
    pub k: usize,
}

fn check(logits: &ValueMeta, label: &ValueMeta) -> Result<(), Mismatch> {
    let [n, classes] = expect::f32_rank(logits, "logits")?;
    match label.meaning {
        Meaning::Index { classes: c } if c as usize == classes && label.shape[..] == [n] => Ok(()),
        _ => Err(Mismatch::new(format!("labels index({classes})[{n}]"), label.to_string())),
    }
}

fn check_smoothing(e: f32) -> Result<(), Mismatch> {
    if (0.0..=1.0).contains(&e) { Ok(()) } else { Err(Mismatch::new("a label smoothing in [0, 1]", e.to_string())) }
}

impl Operator for SoftmaxCrossEntropy {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [logits, label] = expect::inputs(inputs)?;
        check_smoothing(self.label_smoothing)?;
        check(logits, label)?;
        Ok(vec![ValueMeta::f32([])])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(inputs.to_vec())
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[logits, label], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        let grad = SoftmaxCrossEntropyGrad { label_smoothing: self.label_smoothing };
        Ok(vec![Some(b.emit(grad, &[logits, label, dy])?), None])
    }
}

impl Operator for SoftmaxCrossEntropyGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [logits, label, dy] = expect::inputs(inputs)?;
        check(logits, label)?;
        expect::f32_rank::<0>(dy, "dloss")?;
        Ok(vec![logits.clone()])
    }
}

impl Operator for CountCorrect {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [logits, label] = expect::inputs(inputs)?;
        check(logits, label)?;
        if self.k == 0 {
            return Err(Mismatch::new("a k of 1 or more", "0"));
        }
        Ok(vec![ValueMeta::f32([])])
    }
}
