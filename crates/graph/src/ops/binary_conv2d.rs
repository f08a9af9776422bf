//! The binary convolution.

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::summary::Macs;
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta, Window};

use super::conv2d::{input_shape, mac_count, output_shape, weight_shape};
use super::{MaxPool2dGrad, StochasticRounding, expect};

/// Binary convolution: XOR and popcount over packed bits.
///
/// Inputs: codes `bit[n, h, w, c]` packed in the convolution's groups, weight bits `bit(sign)[o, kh, kw, c/groups]`, and α `f32[1]`, `f32[groups]` or
/// `f32[o]`. Output with α: `fl(α·fl(d))` as `f32[n, h', w', o]`; without: the exact integers d.
/// Backward: dx through `α·sign(w)`, and dq (see [`super::BinarizeWeight`]).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryConv2d {
    /// Where the taps lie.
    pub window: Window,
    /// The number that stands outside the image, 0 or 1.
    pub pad_value: u8,
}

/// `dx` of [`BinaryConv2d`]. Inputs: dy `f32[n, h', w', o]`, weight bits, α. Output: `f32[n, h, w, c]`.
///
/// Behind a max pool with `unpool`, where dy is that of the pool and the pool's index is the last input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryConv2dGradInput {
    /// The window of the forward convolution.
    pub window: Window,
    /// Its groups.
    pub groups: usize,
    /// The extents (height, width) of x.
    pub input: [usize; 2],
    /// How dy is rounded, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<StochasticRounding>,
    /// The gradient of the max pool behind the convolution; its windows tile the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpool: Option<MaxPool2dGrad>,
}

/// `dq` of [`BinaryConv2d`]. Inputs: codes, dy. Output: `f32[o, c/groups, kh, kw]`, the latent's shape.
///
/// Behind a max pool with `unpool`, where dy is that of the pool and the pool's index is the last input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryConv2dGradWeight {
    /// The window of the forward convolution.
    pub window: Window,
    /// The number that stands outside the image, 0 or 1.
    pub pad_value: u8,
    /// How dy is rounded, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<StochasticRounding>,
    /// The gradient of the max pool behind the convolution; its windows tile the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpool: Option<MaxPool2dGrad>,
}

/// Weight bits `[o, kh, kw, c/groups]` in the order of latent weights, `[o, c/groups, kh, kw]`.
fn weight_extents(w: &ValueMeta) -> Result<[usize; 4], Mismatch> {
    match expect::bits_rank(w, "weights")? {
        ([o, kh, kw, c], Codes::Sign, 1) => Ok([o, c, kh, kw]),
        _ => Err(Mismatch::new("weights as bit(sign)[o,kh,kw,c]", w.to_string())),
    }
}

fn check_scale(alpha: &ValueMeta, groups: usize, o: usize) -> Result<(), Mismatch> {
    let n = alpha.shape.elements();
    if alpha.meaning == Meaning::F32 && alpha.shape.len() == 1 && (n == 1 || n == groups || n == o) {
        Ok(())
    } else {
        Err(Mismatch::new(format!("α as f32[1], f32[{groups}] or f32[{o}]"), alpha.to_string()))
    }
}

/// The extents of the gradient of y: those of dy or, behind a pool, of what the pool reads.
fn unpooled(unpool: Option<&MaxPool2dGrad>, dy: &ValueMeta, index: &[&ValueMeta]) -> Result<[usize; 4], Mismatch> {
    match (unpool, index) {
        (None, []) => expect::f32_rank(dy, "dy"),
        (Some(pool), [index]) if pool.window.tiles() => expect::f32_rank(&pool.infer(&[index, dy], 0)?[0], "dy"),
        (Some(pool), [_]) => Err(Mismatch::new("windows that lie side by side", format!("{:?}", pool.window))),
        _ => Err(Mismatch::new("an index with a pool, and only there", format!("{} more inputs", index.len()))),
    }
}

pub(super) fn check_pad_value(pad_value: u8) -> Result<(), Mismatch> {
    if pad_value <= 1 { Ok(()) } else { Err(Mismatch::new("a pad value of 0 or 1", pad_value.to_string())) }
}

impl Operator for BinaryConv2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        check_pad_value(self.pad_value)?;
        let &[x, bits, ref alpha @ ..] = inputs else {
            return Err(Mismatch::new("codes and weights", format!("{} inputs", inputs.len())));
        };
        let (x, _, groups) = expect::bits_rank(x, "codes")?;
        let w = weight_extents(bits)?;
        let shape = output_shape(&self.window, groups, x, w)?;
        match alpha {
            [] => {
                let k = (w[1] * w[2] * w[3]) as i64;
                Ok(vec![ValueMeta::new(Meaning::Int { min: -k, max: k }, shape)])
            }
            [alpha] => {
                check_scale(alpha, groups, w[0])?;
                Ok(vec![ValueMeta::f32(shape)])
            }
            _ => Err(Mismatch::new("codes, weights and α", format!("{} inputs", inputs.len()))),
        }
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(inputs.to_vec())
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[x, w, alpha], &[Some(dy)]) = (saved, dys) else { return Err(b.not_differentiable()) };
        let Meaning::Bit { groups, .. } = b.input(0).meaning else { return Err(b.not_differentiable()) };
        let Self { window, pad_value } = *self;
        let input = [b.input(0).shape[1], b.input(0).shape[2]];
        let dx = b
            .wants(0)
            .then(|| {
                b.emit(BinaryConv2dGradInput { window, groups, input, rounding: None, unpool: None }, &[dy, w, alpha])
            })
            .transpose()?;
        let dq = b
            .wants(1)
            .then(|| b.emit(BinaryConv2dGradWeight { window, pad_value, rounding: None, unpool: None }, &[x, dy]))
            .transpose()?;
        Ok(vec![dx, dq, None])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { binary: mac_count(&self.window, inputs[1].shape.channels(), outputs[0]), float: 0 }
    }
}

impl Operator for BinaryConv2dGradInput {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let &[dy, w, alpha, ref index @ ..] = inputs else {
            return Err(Mismatch::new("dy, weights and α", format!("{} inputs", inputs.len())));
        };
        let (dy, w) = (unpooled(self.unpool.as_ref(), dy, index)?, weight_extents(w)?);
        check_scale(alpha, self.groups, w[0])?;
        Ok(vec![ValueMeta::f32(input_shape(&self.window, self.groups, dy, w, self.input)?)])
    }

    fn macs(&self, inputs: &[&ValueMeta], _: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, inputs[1].shape.channels(), inputs[0]), binary: 0 }
    }
}

impl Operator for BinaryConv2dGradWeight {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        check_pad_value(self.pad_value)?;
        let &[x, dy, ref index @ ..] = inputs else {
            return Err(Mismatch::new("codes and dy", format!("{} inputs", inputs.len())));
        };
        let (x, _, groups) = expect::bits_rank(x, "codes")?;
        let dy = unpooled(self.unpool.as_ref(), dy, index)?;
        Ok(vec![ValueMeta::f32(weight_shape(&self.window, groups, x, dy)?)])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, outputs[0].shape[1], inputs[1]), binary: 0 }
    }
}
