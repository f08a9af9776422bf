//! The matrix product.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::summary::Macs;
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::expect;

/// `A·B` of two matrices, either read transposed. Inputs: `f32[m, k]`, `f32[k, n]`. Output: `f32[m, n]`, every element one ascending
/// chain of fused multiply-adds over k. A linear layer is `matmul(x, w, transpose_b)` with w `[out, in]`, then an add.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matmul {
    /// The first input is `[k, m]`.
    pub transpose_a: bool,
    /// The second input is `[n, k]`.
    pub transpose_b: bool,
}

impl Operator for Matmul {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [a, b] = expect::inputs(inputs)?;
        let (mut rows, mut columns) =
            (expect::f32_rank::<2>(a, "the left operand")?, expect::f32_rank::<2>(b, "the right operand")?);
        if self.transpose_a {
            rows.reverse();
        }
        if self.transpose_b {
            columns.reverse();
        }
        if rows[1] != columns[0] {
            return Err(Mismatch::new(format!("a right operand with {} rows", rows[1]), format!("{}", columns[0])));
        }
        Ok(vec![ValueMeta::f32([rows[0], columns[1]])])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(inputs.to_vec())
    }

    /// With C = op(A)·op(B): dop(A) = dC·op(B)ᵀ and dop(B) = op(A)ᵀ·dC; a transposed operand takes the transposed product.
    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[left, right], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let product = |b: &mut Backward, transpose_a, transpose_b, operands: [Value; 2]| {
            b.emit(Self { transpose_a, transpose_b }, &operands)
        };
        let dleft = b
            .wants(0)
            .then(|| if ta { product(b, tb, true, [right, dy]) } else { product(b, false, !tb, [dy, right]) })
            .transpose()?;
        let dright = b
            .wants(1)
            .then(|| if tb { product(b, true, ta, [dy, left]) } else { product(b, !ta, false, [left, dy]) })
            .transpose()?;
        Ok(vec![dleft, dright])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        let k = inputs[0].shape[usize::from(!self.transpose_a)];
        Macs { float: (outputs[0].shape.elements() * k) as u64, binary: 0 }
    }
}
