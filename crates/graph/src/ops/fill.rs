//! One number everywhere.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// A float tensor of one number. No inputs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The number.
    pub value: f32,
    /// The extents.
    pub shape: Shape,
}

impl Operator for Fill {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::f32(self.shape.clone())])
    }

    fn vjp(&self, _: &mut Backward, _: &[Value], _: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        Ok(Vec::new())
    }
}
