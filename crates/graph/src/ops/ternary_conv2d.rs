//! The ternary convolution.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::summary::Macs;
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta, Window};

use super::binary_conv2d::check_pad_value;
use super::conv2d::{input_shape, mac_count, output_shape};
use super::ternarize_weight::{check_values, plane_extents};
use super::{BinaryConv2dGradWeight, StochasticRounding, expect};

/// Convolution with weights `w_p`, 0 and `−w_n`: two sums of integers over packed bits, `d_p` of the codes under positive weights and `d_n` of those under
/// negative ones.
///
/// Inputs: codes `bit[n, h, w, c]` packed in the convolution's groups, the positive and the negative plane `bit(step)[o, kh, kw, c/groups]`, and
/// `w_p` and `w_n` `f32[1]`. Output with them: `fl(fl(w_p·fl(d_p)) − fl(w_n·fl(d_n)))` as `f32[n, h', w', o]`; without: two, the exact integers
/// `d_p` and `d_n`.
/// Backward: dx through q, and dq, the gradient of the positive plane (see [`super::TernarizeWeight`]).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TernaryConv2d {
    /// Where the taps lie.
    pub window: Window,
    /// The number that stands outside the image, 0 or 1.
    pub pad_value: u8,
}

/// `dx` of [`TernaryConv2d`], through weights `q = w_p` under the positive plane, `−w_n` under the negative one, else 0.
///
/// Inputs: dy `f32[n, h', w', o]`, the positive and the negative plane, `w_p` and `w_n`. Output: `f32[n, h, w, c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TernaryConv2dGradInput {
    /// The window of the forward convolution.
    pub window: Window,
    /// Its groups.
    pub groups: usize,
    /// The extents (height, width) of x.
    pub input: [usize; 2],
    /// How dy is rounded, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<StochasticRounding>,
}

impl Operator for TernaryConv2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        check_pad_value(self.pad_value)?;
        let &[x, positive, negative, ref values @ ..] = inputs else {
            return Err(Mismatch::new("codes and two planes of weights", format!("{} inputs", inputs.len())));
        };
        let (x, _, groups) = expect::bits_rank(x, "codes")?;
        let w = plane_extents(positive, negative)?;
        let shape = output_shape(&self.window, groups, x, w)?;
        match values {
            [] => {
                let k = (w[1] * w[2] * w[3]) as i64;
                Ok(vec![ValueMeta::new(Meaning::Int { min: -k, max: k }, shape); 2])
            }
            [w_p, w_n] => {
                check_values(w_p, w_n)?;
                Ok(vec![ValueMeta::f32(shape)])
            }
            _ => Err(Mismatch::new("codes, two planes, w_p and w_n", format!("{} inputs", inputs.len()))),
        }
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(inputs.to_vec())
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[x, positive, negative, w_p, w_n], &[Some(dy)]) = (saved, dys) else {
            return Err(b.not_differentiable());
        };
        let Meaning::Bit { groups, .. } = b.input(0).meaning else { return Err(b.not_differentiable()) };
        let Self { window, pad_value } = *self;
        let input = [b.input(0).shape[1], b.input(0).shape[2]];
        let through = TernaryConv2dGradInput { window, groups, input, rounding: None };
        let dx = b.wants(0).then(|| b.emit(through, &[dy, positive, negative, w_p, w_n])).transpose()?;
        let dq = b
            .wants(1)
            .then(|| b.emit(BinaryConv2dGradWeight { window, pad_value, rounding: None, unpool: None }, &[x, dy]))
            .transpose()?;
        Ok(vec![dx, dq, None, None, None])
    }

    /// A ternary weight is two bits, and each is multiplied.
    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { binary: 2 * mac_count(&self.window, inputs[1].shape.channels(), outputs[0]), float: 0 }
    }
}

impl Operator for TernaryConv2dGradInput {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [dy, positive, negative, w_p, w_n] = expect::inputs(inputs)?;
        let w = plane_extents(positive, negative)?;
        check_values(w_p, w_n)?;
        Ok(vec![ValueMeta::f32(input_shape(&self.window, self.groups, expect::f32_rank(dy, "dy")?, w, self.input)?)])
    }

    fn macs(&self, inputs: &[&ValueMeta], _: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, inputs[1].shape.channels(), inputs[0]), binary: 0 }
    }
}
