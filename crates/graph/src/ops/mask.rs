//! Masks, kept as bits.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Shape, Value, ValueMeta};

use super::expect;

/// `y = scale·x` where the mask's bit is 1, else 0. Inputs: mask `bit[…]`, x `f32[…]` of one shape, or the mask with all axes but the first as one.
/// Output: like x.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyMask {
    /// The factor of what passes.
    pub scale: f32,
}

/// Whether `min ≤ x ≤ max`. Input: `f32[…]`. Output: `bit(step)[…]`, of x's shape or flattened. No gradient.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalMask {
    /// The lower end, included.
    pub min: f32,
    /// The upper end, included.
    pub max: f32,
    /// Whether all axes but the first become one: weights `[o, c, 3, 3]` would take a word for three bits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flat: bool,
}

/// All axes but the first as one.
fn flattened(shape: &Shape) -> Shape {
    match shape.split_first() {
        Some((&rows, rest)) => [rows, rest.iter().product()].into(),
        None => shape.clone(),
    }
}

impl Operator for ApplyMask {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [mask, x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let flat = flattened(&x.shape);
        expect::mask_of(mask, if mask.shape == flat { &flat } else { &x.shape })?;
        Ok(vec![x.clone()])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![inputs[0]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[mask], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        Ok(vec![None, Some(b.emit(self.clone(), &[mask, dy])?)])
    }
}

impl Operator for IntervalMask {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        let shape = if self.flat { flattened(&x.shape) } else { x.shape.clone() };
        Ok(vec![ValueMeta::new(Meaning::bits(Codes::Step), shape)])
    }
}
