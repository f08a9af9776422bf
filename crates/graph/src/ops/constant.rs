//! Literal numbers.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// A float tensor of these numbers, without an axis of samples. No inputs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The elements in row-major order.
    pub values: Vec<f32>,
    /// The extents.
    pub shape: Shape,
}

impl Operator for Constant {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [] = expect::inputs(inputs)?;
        if !self.shape.is_possible() || self.values.len() != self.shape.elements() {
            return Err(Mismatch::new(
                format!("as many values as {} has elements", self.shape),
                self.values.len().to_string(),
            ));
        }
        if let Some(value) = self.values.iter().find(|value| !value.is_finite()) {
            return Err(Mismatch::new("finite values", value.to_string()));
        }
        Ok(vec![ValueMeta::f32(self.shape.clone())])
    }

    fn vjp(&self, _: &mut Backward, _: &[Value], _: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        Ok(Vec::new())
    }
}
