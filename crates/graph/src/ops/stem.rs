//! Convolutions of bytes in a frozen network: exact integers from the uint8 pixels of an image, or from a map that was quantized, and rounded weights.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::summary::Macs;
use crate::{Meaning, Mismatch, ValueMeta};

use super::affine::{Border, FoldStep, check_steps};
use super::conv2d::{mac_count, output_shape};
use super::expect;

/// Folds what bytes stand for into the weights of their convolution, rounds those, and folds the constants behind it into an affine.
///
/// A byte x stands for `(x/255 − mean_c)/std_c`: that is an image's normalisation, and of a map that was quantized `mean = zero/255` and `std = factor/255`.
/// With `v = w/(255·std_c)`: scale `S_o = max|v|/L` for the largest weight L, `q = round_half_even(v/S_o)` (0 where `S_o = 0`); then, with `s·y + b` what
/// the steps make of `y` (see [`super::FoldAffine`]), `a = s·S_o` and, for each border case, `c = b − s·S_o·Σ q·255·mean_c` over the taps inside the
/// image. All in f64, rounded once. Where a weight is infinite or NaN, a is not finite either, and q says nothing.
///
/// Inputs: w `f32[o, c, kh, kw]`, then those of the steps. Outputs: q `int(±L)[o, kh, kw, c]`, a `f32[o]`, c `f32[rows, columns, o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldStem {
    /// The window and the image.
    pub border: Border,
    /// Mean of each image channel, or of all, of pixels scaled to `[0, 1]`.
    pub mean: Vec<f64>,
    /// Standard deviation of each image channel, or of all.
    pub std: Vec<f64>,
    /// The largest |weight| L: 127 or 32767.
    pub largest: i16,
    /// The constants behind the convolution, in the order in which they are applied.
    pub steps: Vec<FoldStep>,
}

/// Exact convolution of an image, or of a map of bytes, with weights of 8 or 16 bits; outside stands 0.
///
/// Inputs: image `int(0..255)[n, h, w, c]`, q `int(±L)[o, kh, kw, c]` with L 127 or 32767. Output: `int(±255·L·kh·kw·c)[n, h', w', o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConv2d {
    /// The window and the image.
    pub border: Border,
}

/// The meaning of weights up to L, which is one of the two that there are.
fn weights(largest: i64) -> Option<Meaning> {
    matches!(largest, 127 | 32767).then_some(Meaning::Int { min: -largest, max: largest })
}

impl Operator for FoldStem {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let Some((w, constants)) = inputs.split_first() else { return Err(Mismatch::new("weights", "nothing")) };
        let [o, c, kh, kw] = expect::f32_rank(w, "weights")?;
        let fits = |of_channels: &[f64]| [1, c].contains(&of_channels.len());
        if !fits(&self.mean) || !fits(&self.std) || self.border.window.kernel != [kh, kw] {
            return Err(Mismatch::new(
                format!("weights for {} channels and kernel {:?}", self.mean.len(), self.border.window.kernel),
                w.to_string(),
            ));
        }
        let largest = i64::from(self.largest);
        let q =
            weights(largest).ok_or_else(|| Mismatch::new("127 or 32767 as the largest weight", largest.to_string()))?;
        check_steps(&self.steps, constants, o)?;
        let [rows, columns] = self.border.cases()?;
        Ok(vec![ValueMeta::new(q, [o, kh, kw, c]), ValueMeta::f32([o]), ValueMeta::f32([rows, columns, o])])
    }
}

impl Operator for ImageConv2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, q] = expect::inputs(inputs)?;
        let extents = (<[usize; 4]>::try_from(&x.shape[..]), <[usize; 4]>::try_from(&q.shape[..]));
        let (Ok(image), Ok([o, kh, kw, c])) = extents else {
            return Err(Mismatch::new("an image and weights of rank 4", format!("{x} and {q}")));
        };
        let largest = if let Meaning::Int { max, .. } = q.meaning { max } else { 0 };
        let is_bytes = x.meaning == Meaning::Int { min: 0, max: 255 } && image[1..3] == self.border.input;
        if !is_bytes || weights(largest) != Some(q.meaning) {
            let [h, w] = self.border.input;
            let expected = format!("int(0..255)[n,{h},{w},c] and weights int(-127..127) or int(-32767..32767)");
            return Err(Mismatch::new(expected, format!("{x} and {q}")));
        }
        let shape = output_shape(&self.border.window, 1, image, [o, c, kh, kw])?;
        let bound = 255 * largest * (kh * kw * c) as i64;
        Ok(vec![ValueMeta::new(Meaning::Int { min: -bound, max: bound }, shape)])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.border.window, inputs[1].shape.channels(), outputs[0]), binary: 0 }
    }
}
