//! Where gradients end.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::expect;

/// `y = x`, and no gradient. Input and output: f32 of one shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopGradient {}

impl Operator for StopGradient {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        Ok(vec![x.clone()])
    }

    fn vjp(&self, _: &mut Backward, _: &[Value], _: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        Ok(vec![None])
    }
}
