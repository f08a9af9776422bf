//! Picking one element of an axis by an index.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// `y[…, …] = x[…, index[…, …], …]`: one element of an axis for every position of the others.
///
/// Inputs: x `f32`, index `index(extent)` of x's shape without the axis. Output: `f32` of the index's shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// The axis that is picked from.
    pub axis: usize,
}

/// `dx` of [`Gather`]: dy where the index points, 0 elsewhere. Inputs: index, dy. Output: f32 with the axis again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// The axis.
    pub axis: usize,
    /// Its extent.
    pub extent: usize,
}

fn check(index: &ValueMeta, extent: usize, shape: &[usize]) -> Result<(), Mismatch> {
    match index.meaning {
        Meaning::Index { classes } if classes as usize <= extent && index.shape[..] == *shape => Ok(()),
        _ => Err(Mismatch::new(format!("an index({extent}){shape:?}"), index.to_string())),
    }
}

impl Operator for Gather {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, index] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let mut extents = x.shape.to_vec();
        if self.axis >= extents.len() {
            return Err(Mismatch::new(format!("an axis below {}", extents.len()), self.axis.to_string()));
        }
        let extent = extents.remove(self.axis);
        check(index, extent, &extents)?;
        Ok(vec![ValueMeta::f32(Shape::from(extents))])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![inputs[1]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[index], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        let extent = b.input(0).shape[self.axis];
        Ok(vec![Some(b.emit(Scatter { axis: self.axis, extent }, &[index, dy])?), None])
    }
}

impl Operator for Scatter {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [index, dy] = expect::inputs(inputs)?;
        expect::f32(dy)?;
        check(index, self.extent, &dy.shape)?;
        let mut extents = dy.shape.to_vec();
        if self.axis > extents.len() {
            return Err(Mismatch::new(format!("an axis up to {}", extents.len()), self.axis.to_string()));
        }
        extents.insert(self.axis, self.extent);
        Ok(vec![ValueMeta::f32(Shape::from(extents))])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![inputs[0]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[index], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        Ok(vec![None, Some(b.emit(Gather { axis: self.axis }, &[dy, index])?)])
    }
}
