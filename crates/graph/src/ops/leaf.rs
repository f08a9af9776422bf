//! Memory that is there before a step: inputs of the batch, numbers of the step, and state.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Init, Meaning, Mismatch, Shape, ValueMeta};

use super::expect;

/// A named tensor of the batch, `[batch, …shape]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The name in the batch: `image`, `label`.
    pub name: String,
    /// The shape of one sample.
    pub shape: Shape,
    /// What the elements mean.
    pub meaning: Meaning,
}

/// A named number that the host gives with every step: a learning rate, a schedule's value. `f32[]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scalar {
    /// The name that the host gives it by.
    pub name: String,
}

/// What a state tensor is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// A trained parameter.
    Parameter,
    /// The latent (shadow) weight of a binary weight: trained, and counted as one bit.
    Latent,
    /// A running statistic of a norm.
    Statistic,
    /// A moment of an optimizer.
    Moment,
    /// A constant that freezing computed.
    Constant,
}

/// A tensor that outlives the step. Two state nodes of one path are one tensor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The checkpoint key: `layer1.0.conv1.weight`. Those of parameters and statistics have no `#`, by which moments are told.
    pub path: String,
    /// The extents.
    pub shape: Shape,
    /// What it is for.
    pub kind: StateKind,
    /// How it starts.
    pub init: Init,
    /// What the elements mean: `F32` but for constants of a frozen graph.
    #[serde(default = "f32_meaning", skip_serializing_if = "is_f32")]
    pub meaning: Meaning,
}

const fn f32_meaning() -> Meaning {
    Meaning::F32
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_f32(meaning: &Meaning) -> bool {
    *meaning == Meaning::F32
}

impl Operator for Input {
    fn infer(&self, inputs: &[&ValueMeta], batch: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [] = expect::inputs(inputs)?;
        let mut shape = vec![batch];
        shape.extend_from_slice(&self.shape);
        Ok(vec![ValueMeta::new(self.meaning, shape)])
    }
}

impl Operator for Scalar {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::f32([])])
    }
}

impl Operator for State {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [] = expect::inputs(inputs)?;
        if self.shape.contains(&0) {
            return Err(Mismatch::new("extents of 1 or more", self.shape.to_string()));
        }
        if self.path.contains('#') {
            match self.kind {
                StateKind::Parameter | StateKind::Latent | StateKind::Statistic => {
                    return Err(Mismatch::new("a path without '#', which moments have in theirs", self.path.clone()));
                }
                StateKind::Moment | StateKind::Constant => {}
            }
        }
        match self.init {
            Init::Uniform { low, high } if !(low.is_finite() && high.is_finite() && low <= high) => {
                Err(Mismatch::new("a uniform start with finite low ≤ high", format!("{low} and {high}")))
            }
            _ => Ok(vec![ValueMeta::new(self.meaning, self.shape.clone())]),
        }
    }
}
