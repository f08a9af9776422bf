//! Tensors side by side.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::slice::with_extent;
use super::{Slice, expect};

/// Tensors joined along an axis; the other extents are equal. Inputs (one or more) and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let Some((first, rest)) = inputs.split_first() else { return Err(Mismatch::new("one input or more", "none")) };
        expect::f32(first)?;
        let without = with_extent(first, self.axis, 1)?;
        let mut extent = first.shape[self.axis];
        for x in rest {
            expect::f32(x)?;
            if with_extent(x, self.axis, 1)? != without {
                return Err(Mismatch::new(
                    format!("extents of {} but for axis {}", first.shape, self.axis),
                    x.shape.to_string(),
                ));
            }
            extent += x.shape[self.axis];
        }
        Ok(vec![with_extent(first, self.axis, extent)?])
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None; b.inputs.len()]) };
        let mut start = 0;
        (0..b.inputs.len())
            .map(|i| {
                let end = start + b.input(i).shape[self.axis];
                let part = Slice { axis: self.axis, start, end };
                start = end;
                b.wants(i).then(|| b.emit(part, &[dy])).transpose()
            })
            .collect()
    }
}
