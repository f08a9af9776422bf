//! The rectifier.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::{ApplyMask, Step, expect, surrogate::Surrogate};

/// `y = max(x, 0)`. Input and output: f32 of one shape. Backward: `dy·1[x > 0]`; the mask is kept as bits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

impl Operator for Relu {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        Ok(vec![x.clone()])
    }

    /// The Step codes of y are the mask: y > 0 exactly where x > 0.
    fn save(&self, f: &mut Forward, _: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![f.emit(Step { gradient: Surrogate::Identity, groups: 1 }, outputs)?])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[mask], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None]) };
        Ok(vec![Some(b.emit(ApplyMask { scale: 1.0 }, &[mask, dy])?)])
    }
}
