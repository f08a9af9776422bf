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

    /// Whether element `index` passes, the same on every backend: the upper 32 bits of `mix(mix(mix(mix(seed) + step) + stream) + index)`
    /// are at least `⌊p·2³²⌋`, where `mix` is one output of `SplitMix64` (Steele, Lea, Flood 2014) and sums wrap.
    pub fn passes(&self, seed: u64, step: u64, index: u64) -> bool {
        let key = mix(mix(mix(seed).wrapping_add(step)).wrapping_add(self.stream));
        mix(key.wrapping_add(index)) >> 32 >= (f64::from(self.p) * 4_294_967_296.0) as u64
    }
}

/// One output of `SplitMix64`.
pub(super) fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
