//! Reordering axes.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// Axis `i` of the output is axis `permutation[i]` of the input. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// Every axis once.
    pub permutation: Vec<usize>,
}

impl Operator for Transpose {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if sorted.iter().copied().ne(0..x.shape.len()) {
            return Err(Mismatch::new(
                format!("a permutation of {} axes", x.shape.len()),
                format!("{:?}", self.permutation),
            ));
        }
        let extents: Vec<usize> = self.permutation.iter().map(|&axis| x.shape[axis]).collect();
        Ok(vec![ValueMeta::f32(Shape::from(extents))])
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let mut permutation = vec![0; self.permutation.len()];
        for (to, &from) in self.permutation.iter().enumerate() {
            permutation[from] = to;
        }
        Ok(vec![Some(b.emit(Self { permutation }, &[dy])?)])
    }
}
