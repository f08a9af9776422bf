//! From pixels to floats.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Meaning, Mismatch, ValueMeta};

use super::expect;

/// `y = (x/255 − mean_c)/std_c`, computed in f64 and rounded once.
///
/// Input: image `int(0..255)[n, h, w, c]`. Output: `f32[n, h, w, c]`. No gradient: the image is data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizeImage {
    /// Mean of each channel, of pixels scaled to `[0, 1]`.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel.
    pub std: Vec<f64>,
}

impl Operator for NormalizeImage {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        if x.meaning != (Meaning::Int { min: 0, max: 255 }) || x.shape.len() != 4 {
            return Err(Mismatch::new("an image int(0..255)[n,h,w,c]", x.to_string()));
        }
        let c = x.shape.channels();
        if self.mean.len() != c || self.std.len() != c {
            return Err(Mismatch::new(
                format!("mean and std for {c} channels"),
                format!("{} and {}", self.mean.len(), self.std.len()),
            ));
        }
        if self.std.iter().any(|&s| s <= 0.0 || !s.is_finite()) || self.mean.iter().any(|m| !m.is_finite()) {
            return Err(Mismatch::new(
                "finite means and standard deviations above 0",
                format!("{:?} and {:?}", self.mean, self.std),
            ));
        }
        Ok(vec![ValueMeta::f32(x.shape.clone())])
    }
}
