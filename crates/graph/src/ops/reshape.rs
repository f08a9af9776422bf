//! The same elements in other extents.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// The same elements in the same order. In `dims`, 0 keeps the input's extent of that axis and one −1 takes what is left.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new extents: `[0, -1]` flattens each sample.
    pub dims: Vec<i64>,
}

impl Reshape {
    fn resolve(&self, x: &Shape) -> Option<Vec<usize>> {
        let known = |(axis, &dim): (usize, &i64)| match dim {
            -1 => Some(1),
            0 => x.get(axis).copied(),
            d => usize::try_from(d).ok(),
        };
        let mut extents: Vec<usize> = self.dims.iter().enumerate().map(known).collect::<Option<_>>()?;
        let product = extents.iter().try_fold(1usize, |p, &e| p.checked_mul(e))?;
        match self.dims.iter().filter(|&&d| d == -1).count() {
            0 => {}
            1 if product > 0 => {
                let axis = self.dims.iter().position(|&d| d == -1)?;
                extents[axis] = x.elements() / product;
            }
            _ => return None,
        }
        (extents.iter().product::<usize>() == x.elements()).then_some(extents)
    }
}

impl Operator for Reshape {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        match self.resolve(&x.shape) {
            Some(extents) => Ok(vec![ValueMeta::f32(extents)]),
            None => Err(Mismatch::new(
                format!("dims that hold the {} elements of {}", x.shape.elements(), x.shape),
                format!("{:?}", self.dims),
            )),
        }
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let dims = b.input(0).shape.iter().map(|&d| d as i64).collect();
        Ok(vec![Some(b.emit(Self { dims }, &[dy])?)])
    }
}
