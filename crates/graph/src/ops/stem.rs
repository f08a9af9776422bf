//! The first convolution of a frozen network: exact integers from uint8 pixels and i16 weights.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::summary::Macs;
use crate::{Meaning, Mismatch, ValueMeta};

use super::affine::{Border, FoldStep, check_steps};
use super::conv2d::{mac_count, output_shape};
use super::expect;

/// Folds image normalisation into the stem's weights, rounds them to i16, and the constants behind it into an affine.
///
/// With `v = w/(255·std_c)`: scale `S_o = max|v|/32767`, `q = round_half_even(v/S_o)` (0 where `S_o = 0`); then, with `s·y + b` what
/// the steps make of `y` (see [`super::FoldAffine`]), `a = s·S_o` and, for each border case, `c = b − s·S_o·Σ q·255·mean_c` over the taps inside the
/// image. All in f64, rounded once.
///
/// Inputs: w `f32[o, c, kh, kw]`, then those of the steps. Outputs: q `int(±32767)[o, kh, kw, c]`, a `f32[o]`, c `f32[rows, columns, o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldStem {
    /// The window and the image.
    pub border: Border,
    /// Mean of each image channel, of pixels scaled to `[0, 1]`.
    pub mean: Vec<f64>,
    /// Standard deviation of each image channel.
    pub std: Vec<f64>,
    /// The constants behind the convolution, in the order in which they are applied.
    pub steps: Vec<FoldStep>,
}

/// Exact convolution of an image with i16 weights; outside the image stands 0.
///
/// Inputs: image `int(0..255)[n, h, w, c]`, q `int(±32767)[o, kh, kw, c]`. Output: `int(±255·32767·kh·kw·c)[n, h', w', o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConv2d {
    /// The window and the image.
    pub border: Border,
}

/// The meaning of the rounded weights.
const I16: Meaning = Meaning::Int { min: -32767, max: 32767 };

impl Operator for FoldStem {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let Some((w, constants)) = inputs.split_first() else { return Err(Mismatch::new("weights", "nothing")) };
        let [o, c, kh, kw] = expect::f32_rank(w, "weights")?;
        if self.mean.len() != c || self.std.len() != c || self.border.window.kernel != [kh, kw] {
            return Err(Mismatch::new(
                format!("weights for {} channels and kernel {:?}", self.mean.len(), self.border.window.kernel),
                w.to_string(),
            ));
        }
        check_steps(&self.steps, constants, o)?;
        let [rows, columns] = self.border.cases()?;
        Ok(vec![ValueMeta::new(I16, [o, kh, kw, c]), ValueMeta::f32([o]), ValueMeta::f32([rows, columns, o])])
    }
}

impl Operator for ImageConv2d {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, q] = expect::inputs(inputs)?;
        let extents = (<[usize; 4]>::try_from(&x.shape[..]), <[usize; 4]>::try_from(&q.shape[..]));
        let (Ok(image), Ok([o, kh, kw, c])) = extents else {
            return Err(Mismatch::new("an image and weights of rank 4", format!("{x} and {q}")));
        };
        if x.meaning != (Meaning::Int { min: 0, max: 255 }) || q.meaning != I16 || image[1..3] != self.border.input {
            let [h, w] = self.border.input;
            return Err(Mismatch::new(format!("int(0..255)[n,{h},{w},c] and {I16} weights"), format!("{x} and {q}")));
        }
        let shape = output_shape(&self.border.window, 1, image, [o, c, kh, kw])?;
        let bound = 255 * 32767 * (kh * kw * c) as i64;
        Ok(vec![ValueMeta::new(Meaning::Int { min: -bound, max: bound }, shape)])
    }

    fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        Macs { float: mac_count(&self.border.window, inputs[1].shape.channels(), outputs[0]), binary: 0 }
    }
}
