//! The sign of a number as −1 or +1.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta};

use super::{Surrogate, expect};

/// `−1` where `x < 0`, else `+1`, so `sign(0) = sign(−0.0) = +1`.
///
/// Input: `f32[…, c]`. Output: bits of that shape. Backward: the gradient of the codes through `gradient`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// The pseudo-gradient.
    pub gradient: Surrogate,
    /// The parts that the channels are packed in: the groups of the convolution that reads them.
    pub groups: usize,
}

impl Operator for Sign {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        expect::divisible_channels(x, self.groups)?;
        self.gradient.check()?;
        Ok(vec![ValueMeta::new(Meaning::Bit { codes: Codes::Sign, groups: self.groups }, x.shape.clone())])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.gradient.save(f, inputs[0])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        self.gradient.vjp(b, saved, dys)
    }
}
