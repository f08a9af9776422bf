//! Writing states.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `x ← y`. Inputs: x (updated in place) and y, a float tensor of its shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assign {}

/// `x ← 0`. Input: x, a float tensor, updated in place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clear {}

impl Operator for Assign {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, y] = expect::inputs(inputs)?;
        expect::same_f32(x, y)?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Operator for Clear {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}
