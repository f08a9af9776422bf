//! A tensor several times over.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::shape::broadcast;
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::arithmetic::unbroadcast;
use super::slice::with_extent;
use super::{Reduce, Reduction, Reshape, expect};

/// The whole tensor `times` times in a row along an axis: `[a, b]` becomes `[a, b, a, b]`. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// The axis.
    pub axis: usize,
    /// How often, 1 or more.
    pub times: usize,
}

/// A tensor stretched to a shape: axes are matched from the last, extents of 1 stretch. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastTo {
    /// The output's shape.
    pub shape: Shape,
}

impl Operator for Repeat {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if self.times == 0 {
            return Err(Mismatch::new("1 time or more", "0"));
        }
        let extent = x.shape.get(self.axis).copied().unwrap_or(0);
        Ok(vec![with_extent(x, self.axis, extent.saturating_mul(self.times))?])
    }

    /// Splits the axis into (times, extent) and sums over the first.
    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let mut dims: Vec<i64> = b.input(0).shape.iter().map(|&d| d as i64).collect();
        dims.insert(self.axis, self.times as i64);
        let split = b.emit(Reshape { dims }, &[dy])?;
        Ok(vec![Some(b.emit(Reduce { reduction: Reduction::Sum, axes: vec![self.axis], keep: false }, &[split])?)])
    }
}

impl Operator for BroadcastTo {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if broadcast(&x.shape, &self.shape).as_ref() == Some(&self.shape) {
            Ok(vec![ValueMeta::f32(self.shape.clone())])
        } else {
            Err(Mismatch::new(format!("a shape that stretches to {}", self.shape), x.shape.to_string()))
        }
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let operand = b.input(0).clone();
        Ok(vec![Some(unbroadcast(b, dy, &operand)?)])
    }
}
