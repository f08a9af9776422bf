//! Max and average pools.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Value, ValueMeta, Window};

use super::expect;

/// The largest value under the window; the outside never wins. Input: `f32[n, h, w, c]`. Output: `f32[n, h', w', c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Where the taps lie.
    pub window: Window,
}

/// [`MaxPool2d`], and which tap won, `kh·KW + kw`; ties go to the first. Outputs: `f32[n, h', w', c]`, `index(taps)[n, h', w', c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2dIndex {
    /// Where the taps lie.
    pub window: Window,
}

/// `dx` of [`MaxPool2d`]. Inputs: index, dy. Output: `f32[n, h, w, c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2dGrad {
    /// The window of the pool.
    pub window: Window,
    /// The extents (height, width) of x.
    pub input: [usize; 2],
}

/// The mean over all taps on the image and its padding, which counts as 0, as `PyTorch` does. Input: `f32[n, h, w, c]`. Output: `f32[n, h', w', c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Where the taps lie.
    pub window: Window,
    /// Whether a last window that reaches over the end counts too, with the mean of what it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ceil: bool,
}

/// `dx` of [`AvgPool2d`]. Input: dy. Output: `f32[n, h, w, c]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2dGrad {
    /// The window of the pool.
    pub window: Window,
    /// Its rule for a last window that reaches over the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ceil: bool,
    /// The extents (height, width) of x.
    pub input: [usize; 2],
}

/// Every window must touch the image, or its maximum is that of nothing.
fn pooled(window: &Window, ceil: bool, x: [usize; 4]) -> Result<[usize; 4], Mismatch> {
    let [n, height, width, c] = x;
    let output = if ceil { window.output_ceil([height, width])? } else { window.output([height, width])? };
    let outside = (0..2).any(|axis| window.padding[axis] * 2 > (window.kernel[axis] - 1) * window.dilation[axis] + 1);
    if outside {
        return Err(Mismatch::new(
            "a padding of at most half the kernel",
            format!("{:?} for kernel {:?}", window.padding, window.kernel),
        ));
    }
    // Taps that lie farther apart than the image is large can all miss it.
    let misses = [height, width].iter().enumerate().any(|(axis, &extent)| {
        let mut outputs = 0..output[axis];
        extent < window.dilation[axis] && outputs.any(|output| window.taps_inside(axis, extent, output).is_empty())
    });
    if misses {
        return Err(Mismatch::new("windows that touch the image", format!("{window:?} on {height}×{width}")));
    }
    Ok([n, output[0], output[1], c])
}

fn unpooled(window: &Window, ceil: bool, dy: [usize; 4], input: [usize; 2]) -> Result<ValueMeta, Mismatch> {
    let x = [dy[0], input[0], input[1], dy[3]];
    let forward = pooled(window, ceil, x)?;
    if forward == dy { Ok(ValueMeta::f32(x)) } else { Err(Mismatch::new(format!("dy {forward:?}"), format!("{dy:?}"))) }
}

impl Operator for MaxPool2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::f32(pooled(&self.window, false, expect::f32_rank(x, "x")?)?)])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(f.emit_all(MaxPool2dIndex { window: self.window }, inputs)?.split_off(1))
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[index], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None]) };
        let input = [b.input(0).shape[1], b.input(0).shape[2]];
        Ok(vec![Some(b.emit(MaxPool2dGrad { window: self.window, input }, &[index, dy])?)])
    }
}

impl Operator for MaxPool2dIndex {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        let shape = pooled(&self.window, false, expect::f32_rank(x, "x")?)?;
        let index = Meaning::Index { classes: self.window.taps() as u32 };
        Ok(vec![ValueMeta::f32(shape), ValueMeta::new(index, shape)])
    }
}

impl Operator for MaxPool2dGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [index, dy] = expect::inputs(inputs)?;
        if !matches!(index.meaning, Meaning::Index { .. }) || index.shape != dy.shape {
            return Err(Mismatch::new(format!("an index of shape {}", dy.shape), index.to_string()));
        }
        Ok(vec![unpooled(&self.window, false, expect::f32_rank(dy, "dy")?, self.input)?])
    }
}

impl Operator for AvgPool2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::f32(pooled(&self.window, self.ceil, expect::f32_rank(x, "x")?)?)])
    }

    fn vjp(&self, b: &mut Backward, _: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let input = [b.input(0).shape[1], b.input(0).shape[2]];
        Ok(vec![Some(b.emit(AvgPool2dGrad { window: self.window, ceil: self.ceil, input }, &[dy])?)])
    }
}

impl Operator for AvgPool2dGrad {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [dy] = expect::inputs(inputs)?;
        Ok(vec![unpooled(&self.window, self.ceil, expect::f32_rank(dy, "dy")?, self.input)?])
    }
}
