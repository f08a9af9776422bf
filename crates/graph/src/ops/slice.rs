//! A part of an axis, and its opposite.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// The elements `start..end` of an axis. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first element.
    pub start: usize,
    /// The first element that is left out again.
    pub end: usize,
}

/// Zeroes before and after an axis. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadAxis {
    /// The axis.
    pub axis: usize,
    /// Zeroes in front.
    pub before: usize,
    /// Zeroes behind.
    pub after: usize,
}

/// A shape with one extent replaced.
pub(super) fn with_extent(x: &ValueMeta, axis: usize, extent: usize) -> Result<ValueMeta, Mismatch> {
    let mut extents = x.shape.to_vec();
    match extents.get_mut(axis) {
        Some(e) => *e = extent,
        None => return Err(Mismatch::new(format!("an axis below {}", x.shape.len()), axis.to_string())),
    }
    Ok(ValueMeta::f32(Shape::from(extents)))
}

impl Operator for Slice {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let sliced = with_extent(x, self.axis, self.end.saturating_sub(self.start))?;
        if self.start >= self.end || self.end > x.shape[self.axis] {
            return Err(Mismatch::new(
                format!("a range inside 0..{}", x.shape[self.axis]),
                format!("{}..{}", self.start, self.end),
            ));
        }
        Ok(vec![sliced])
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let after = b.input(0).shape[self.axis] - self.end;
        Ok(vec![Some(b.emit(PadAxis { axis: self.axis, before: self.start, after }, &[dy])?)])
    }
}

impl Operator for PadAxis {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let extent = x.shape.get(self.axis).copied().unwrap_or(0);
        Ok(vec![with_extent(x, self.axis, self.before.saturating_add(extent).saturating_add(self.after))?])
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let end = self.before + b.input(0).shape[self.axis];
        Ok(vec![Some(b.emit(Slice { axis: self.axis, start: self.before, end }, &[dy])?)])
    }
}
