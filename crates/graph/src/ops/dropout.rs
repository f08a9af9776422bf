//! Dropout.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::{ApplyMask, expect};

/// Zeroes elements with probability `p` and scales the rest by `1/(1 − p)`; random by (seed, step, stream, index).
///
/// Input: `f32[…]`. Outputs: y like x, and the mask of what passed as bits. Passes that evaluate take it out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability of a zero, in `[0, 1)`.
    pub p: f32,
    /// Distinguishes the dropouts of a network.
    pub stream: u64,
}

impl Dropout {
    /// The factor of what passes.
    pub fn scale(&self) -> f32 {
        1.0 / (1.0 - self.p)
    }
}

impl Operator for Dropout {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(Mismatch::new("a probability in [0, 1)", self.p.to_string()));
        }
        Ok(vec![x.clone(), ValueMeta::new(Meaning::bits(Codes::Step), x.shape.clone())])
    }

    fn save(&self, _: &mut Forward, _: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(vec![outputs[1]])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[mask], Some(&Some(dy))) = (saved, dys.first()) else { return Ok(vec![None]) };
        Ok(vec![Some(b.emit(ApplyMask { scale: self.scale() }, &[mask, dy])?)])
    }
}
