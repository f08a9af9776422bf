//! Writing states.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `x ← y`. Inputs: x (updated in place) and y, a float tensor of its shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assign {}

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
