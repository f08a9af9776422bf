//! The clamp.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::{ApplyMask, IntervalMask, expect};

/// `y = min(max(x, min), max)`. Backward: dy inside, at both ends too; 0 outside.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The lower end.
    pub min: f32,
    /// The upper end.
    pub max: f32,
}

impl Operator for Clamp {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if self.min <= self.max {
            Ok(vec![x.clone()])
        } else {
            Err(Mismatch::new("min ≤ max", format!("{} and {}", self.min, self.max)))
        }
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![f.emit(IntervalMask { min: self.min, max: self.max, flat: false }, inputs)?])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[mask], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None]) };
        Ok(vec![Some(b.emit(ApplyMask { scale: 1.0 }, &[mask, dy])?)])
    }
}
