//! The float convolution.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::summary::Macs;
use crate::{GraphError, Mismatch, Value, ValueMeta, Window};

use super::expect;

/// Float convolution with zero padding: `y[n,i,j,o] = Σ_{kh,kw,c} x[n, i·s+kh·d−p, …, c] · w[o,c,kh,kw]`.
///
/// Inputs: x `f32[n, h, w, c]`, w `f32[o, c/groups, kh, kw]`. Output: `f32[n, h', w', o]`. Every output is one ascending chain of fused
/// multiply-adds over (kh, kw, c), whatever the batch or the threads.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Where the taps lie.
    pub window: Window,
    /// Input and output channels fall into this many independent parts.
    pub groups: usize,
}

/// `dx` of [`Conv2d`]. Inputs: dy `f32[n, h', w', o]`, w. Output: `f32[n, h, w, c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dGradInput {
    /// The window of the forward convolution.
    pub window: Window,
    /// Its groups.
    pub groups: usize,
    /// The extents (height, width) of x.
    pub input: [usize; 2],
}

/// `dw` of [`Conv2d`]. Inputs: x, dy. Output: `f32[o, c/groups, kh, kw]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dGradWeight {
    /// The window of the forward convolution.
    pub window: Window,
    /// Its groups.
    pub groups: usize,
}

/// The output shape for x `[n, h, w, c]` and weights `[o, c/groups, kh, kw]`.
pub(super) fn output_shape(
    window: &Window,
    groups: usize,
    x: [usize; 4],
    w: [usize; 4],
) -> Result<[usize; 4], Mismatch> {
    let [n, height, width, c] = x;
    let [o, per_group, kh, kw] = w;
    if groups == 0 || c % groups != 0 || o % groups != 0 {
        return Err(Mismatch::new(
            format!("input and output channels divisible by {groups} groups"),
            format!("{c} and {o}"),
        ));
    }
    if per_group != c / groups || window.kernel != [kh, kw] {
        return Err(Mismatch::new(
            format!("weights [{o},{},{},{}]", c / groups, window.kernel[0], window.kernel[1]),
            format!("[{o},{per_group},{kh},{kw}]"),
        ));
    }
    let [height, width] = window.output([height, width])?;
    Ok([n, height, width, o])
}

/// The input shape for dy `[n, h', w', o]`, weights `[o, c/groups, kh, kw]` and the extents of the input.
pub(super) fn input_shape(
    window: &Window,
    groups: usize,
    dy: [usize; 4],
    w: [usize; 4],
    input: [usize; 2],
) -> Result<[usize; 4], Mismatch> {
    let x = [dy[0], input[0], input[1], w[1] * groups];
    let forward = output_shape(window, groups, x, w)?;
    if forward == dy { Ok(x) } else { Err(Mismatch::new(format!("dy {forward:?}"), format!("{dy:?}"))) }
}

/// The weight shape for x `[n, h, w, c]` and dy `[n, h', w', o]`.
pub(super) fn weight_shape(
    window: &Window,
    groups: usize,
    x: [usize; 4],
    dy: [usize; 4],
) -> Result<[usize; 4], Mismatch> {
    let w = [dy[3], x[3] / groups.max(1), window.kernel[0], window.kernel[1]];
    let forward = output_shape(window, groups, x, w)?;
    if forward == dy { Ok(w) } else { Err(Mismatch::new(format!("dy {forward:?}"), format!("{dy:?}"))) }
}

/// The multiply-adds of one output tensor, each output reading `per_group` channels under each tap.
pub(super) fn mac_count(window: &Window, per_group: usize, output: &ValueMeta) -> u64 {
    (output.shape.elements() * window.taps() * per_group) as u64
}

impl Operator for Conv2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, w] = expect::inputs(inputs)?;
        let shape =
            output_shape(&self.window, self.groups, expect::f32_rank(x, "x")?, expect::f32_rank(w, "weights")?)?;
        Ok(vec![ValueMeta::f32(shape)])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(inputs.to_vec())
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[x, w], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        let Self { window, groups } = *self;
        let input = [b.input(0).shape[1], b.input(0).shape[2]];
        let dx = b.wants(0).then(|| b.emit(Conv2dGradInput { window, groups, input }, &[dy, w])).transpose()?;
        let dw = b.wants(1).then(|| b.emit(Conv2dGradWeight { window, groups }, &[x, dy])).transpose()?;
        Ok(vec![dx, dw])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, inputs[1].shape[1], outputs[0]), binary: 0 }
    }
}

impl Operator for Conv2dGradInput {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [dy, w] = expect::inputs(inputs)?;
        let (dy, w) = (expect::f32_rank(dy, "dy")?, expect::f32_rank(w, "weights")?);
        Ok(vec![ValueMeta::f32(input_shape(&self.window, self.groups, dy, w, self.input)?)])
    }

    fn macs(&self, inputs: &[&ValueMeta], _: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, inputs[1].shape[1], inputs[0]), binary: 0 }
    }
}

impl Operator for Conv2dGradWeight {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, dy] = expect::inputs(inputs)?;
        let (x, dy) = (expect::f32_rank(x, "x")?, expect::f32_rank(dy, "dy")?);
        Ok(vec![ValueMeta::f32(weight_shape(&self.window, self.groups, x, dy)?)])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.window, outputs[0].shape[1], inputs[1]), binary: 0 }
    }
}
