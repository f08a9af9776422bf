//! Weights of float products in fewer bits.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Meaning, Mismatch, ValueMeta};

use super::expect;

/// The nearest number of 16 bits, ties to even; beyond ±65504 infinity. Input and output: f32 of one shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundHalf {}

/// 8 bits for each weight and a scale for each index of an axis: `s = fl(max|w|/127)`, `q = round_half_even(w/s)` in f64, within ±127; 0 where `s = 0`.
/// Where a weight is infinite or NaN, so is s, and q says nothing.
///
/// Input: w f32. Outputs: q `int(±127)` of its shape, s `f32[extent of the axis]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizeWeight {
    /// The axis of the outputs.
    pub axis: usize,
}

/// `w = fl(s·q)`: what became of [`QuantizeWeight`]'s input. Inputs: q `int(±127)`, s `f32[extent of the axis]`. Output: f32 of q's shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dequantize {
    /// The axis of the outputs.
    pub axis: usize,
}

/// The meaning of the rounded weights.
const I8: Meaning = Meaning::Int { min: -127, max: 127 };

fn extent(x: &ValueMeta, axis: usize) -> Result<usize, Mismatch> {
    let missing = || Mismatch::new(format!("an axis below {}", x.shape.len()), axis.to_string());
    x.shape.get(axis).copied().ok_or_else(missing)
}

impl Operator for RoundHalf {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w] = expect::inputs(inputs)?;
        expect::f32(w)?;
        Ok(vec![w.clone()])
    }
}

impl Operator for QuantizeWeight {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [w] = expect::inputs(inputs)?;
        expect::f32(w)?;
        let outputs = extent(w, self.axis)?;
        Ok(vec![ValueMeta::new(I8, w.shape.clone()), ValueMeta::f32([outputs])])
    }
}

impl Operator for Dequantize {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [q, s] = expect::inputs(inputs)?;
        if q.meaning != I8 {
            return Err(Mismatch::new(format!("{I8} weights"), q.to_string()));
        }
        expect::f32_vector(s, extent(q, self.axis)?, "scales")?;
        Ok(vec![ValueMeta::f32(q.shape.clone())])
    }
}
