//! What freezing makes of a run of constants: one affine per channel.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Meaning, Mismatch, ValueMeta, Window};

use super::expect;

/// `y = fl(fl(a·fl(x)) + c)`, no fused multiply-add. Inputs: x `f32[…, o]` or `int[…, o]`, a `f32[o]`, c. Output: `f32[…, o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// Without: c is `f32[o]`. With: x comes from this window over an image of these extents, and c is
    /// `f32[rows, columns, o]`, one for each of the window's border cases (see [`crate::BorderCases`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<Border>,
}

/// A window and the image that it slides over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Border {
    /// Where the taps lie.
    pub window: Window,
    /// The extents (height, width) of the image.
    pub input: [usize; 2],
}

impl Border {
    /// How many border cases there are along each axis.
    pub fn cases(&self) -> Result<[usize; 2], Mismatch> {
        let output = self.window.output(self.input)?;
        Ok([0, 1].map(|axis| self.window.border_cases(axis, self.input[axis], output[axis]).taps.len()))
    }
}

/// Folds a norm with given statistics, and a weight scale in front of it, into one affine, in f64, rounded once:
/// `a = γ·α/√(var + ε)`, `c = β − γ·mean/√(var + ε)`.
///
/// Inputs: α (with `scale`), then γ, β, mean, var (with `eps`). α is `f32[1]`, `f32[groups]` or `f32[o]`. Outputs: a and c, `f32[o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldAffine {
    /// The channels o.
    pub channels: usize,
    /// Whether there is an α.
    pub scale: bool,
    /// The norm's ε, if there is a norm.
    pub eps: Option<f64>,
}

/// Four vectors of a norm with `o` channels.
pub(super) fn check_norm(norm: &[&ValueMeta], o: usize) -> Result<(), Mismatch> {
    let [gamma, beta, mean, var] = expect::inputs(norm)?;
    [(gamma, "gamma"), (beta, "beta"), (mean, "mean"), (var, "variance")]
        .into_iter()
        .try_for_each(|(v, what)| expect::f32_vector(v, o, what))
}

impl Operator for Affine {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, a, c] = expect::inputs(inputs)?;
        if !matches!(x.meaning, Meaning::F32 | Meaning::Int { .. }) {
            return Err(Mismatch::new("numbers", x.to_string()));
        }
        let o = x.shape.channels();
        expect::f32_vector(a, o, "a")?;
        match self.border {
            None => expect::f32_vector(c, o, "c")?,
            Some(border) => {
                let output = border.window.output(border.input)?;
                let [rows, columns] = border.cases()?;
                if x.shape.len() != 4 || x.shape[1..3] != output || *c != ValueMeta::f32([rows, columns, o]) {
                    return Err(Mismatch::new(
                        format!("x [n,{},{},{o}] and c f32[{rows},{columns},{o}]", output[0], output[1]),
                        format!("{x} and {c}"),
                    ));
                }
            }
        }
        Ok(vec![ValueMeta::f32(x.shape.clone())])
    }
}

impl Operator for FoldAffine {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let mut rest = inputs;
        if self.scale {
            let Some((alpha, norm)) = inputs.split_first() else { return Err(Mismatch::new("α", "nothing")) };
            let n = alpha.shape.elements();
            if alpha.meaning != Meaning::F32 || alpha.shape.len() != 1 || !self.channels.is_multiple_of(n) {
                return Err(Mismatch::new(
                    format!("an α vector that divides {} channels", self.channels),
                    alpha.to_string(),
                ));
            }
            rest = norm;
        }
        match self.eps {
            Some(_) => check_norm(rest, self.channels)?,
            None if rest.is_empty() => {}
            None => return Err(Mismatch::new("no norm", format!("{} inputs", rest.len()))),
        }
        Ok(vec![ValueMeta::f32([self.channels]); 2])
    }
}
