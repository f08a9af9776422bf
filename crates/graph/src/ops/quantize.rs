//! Floats as bytes.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Meaning, Mismatch, ValueMeta};

use super::expect;

/// A map of floats as bytes: `y = clamp(round_half_even(fl(factor·x)) + zero, 0, 255)`, where NaN becomes 0; so y stands for `(y − zero)/factor`.
///
/// Input: x `f32[n, h, w, c]`. Output: `int(0..255)[n, ⌈h/s₀⌉, ⌈w/s₁⌉, c]` for the stride s.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// How many steps a unit has; above 0.
    pub factor: f32,
    /// The byte of 0.
    pub zero: u8,
    /// Of how many rows, and columns, the first alone is taken: a window of one pixel looks at no others.
    pub stride: [usize; 2],
}

impl Operator for Quantize {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        let [n, h, w, c] = expect::f32_rank(x, "x")?;
        if !(self.factor.is_finite() && self.factor > 0.0) || self.stride.contains(&0) {
            let got = format!("{} and {:?}", self.factor, self.stride);
            return Err(Mismatch::new("a finite factor above 0 and a stride of at least 1", got));
        }
        let shape = [n, h.div_ceil(self.stride[0]), w.div_ceil(self.stride[1]), c];
        Ok(vec![ValueMeta::new(Meaning::Int { min: 0, max: 255 }, shape)])
    }
}
