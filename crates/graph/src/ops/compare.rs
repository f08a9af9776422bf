//! Comparison and choice.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::shape::broadcast;
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::arithmetic::{shared_shape, unbroadcast};
use super::{Fill, expect};

/// The relation of [`Compare`]. With a NaN every relation is false.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Comparison {
    /// `a < b`
    Less,
    /// `a ≤ b`
    LessEqual,
    /// `a > b`
    Greater,
    /// `a ≥ b`
    GreaterEqual,
    /// `a = b`
    Equal,
}

/// Where a relation holds. Inputs: f32, stretched to one shape. Output: `bit(step)` of it. No gradient.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The relation.
    pub comparison: Comparison,
}

/// `a` where the mask's bit is 1, else `b`. Inputs: mask `bit[…]`, a and b f32 that stretch to the mask's shape. Output: `f32[…]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {}

impl Operator for Compare {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [a, b] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::new(Meaning::bits(Codes::Step), shared_shape(a, b)?)])
    }

    fn vjp(&self, _: &mut Backward, _: &[Value], _: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        Ok(vec![None, None])
    }
}

impl Operator for Select {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [mask, a, b] = expect::inputs(inputs)?;
        expect::mask_of(mask, &mask.shape)?;
        for operand in [a, b] {
            expect::f32(operand)?;
            if broadcast(&operand.shape, &mask.shape).as_ref() != Some(&mask.shape) {
                return Err(Mismatch::new(
                    format!("a shape that stretches to {}", mask.shape),
                    operand.shape.to_string(),
                ));
            }
        }
        Ok(vec![ValueMeta::f32(mask.shape.clone())])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![inputs[0]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[mask], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None; 3]) };
        let zero = b.emit(Fill { value: 0.0, shape: crate::Shape::default() }, &[])?;
        let mut grads = vec![None];
        for (i, operands) in [(1, [mask, dy, zero]), (2, [mask, zero, dy])] {
            grads.push(if b.wants(i) {
                let full = b.emit(Self {}, &operands)?;
                let operand = b.input(i).clone();
                Some(unbroadcast(b, full, &operand)?)
            } else {
                None
            });
        }
        Ok(grads)
    }
}
