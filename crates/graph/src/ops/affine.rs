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

/// `y = fl(fl(fl(a_p·fl(d_p)) − fl(a_n·fl(d_n))) + c)`, no fused multiply-add: what a frozen ternary convolution ends in.
///
/// Inputs: `d_p` and `d_n` `int[…, o]` of the same bounds, `a_p`, `a_n` and c `f32[o]`. Output: `f32[…, o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TernaryAffine {}

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

/// A constant that is folded.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FoldStep {
    /// `y = s·x`. Input: s `f32[]` or a vector that divides the channels, each element for as many consecutive ones.
    Scale,
    /// `y = γ·(x − mean)/√(var + ε) + β`. Inputs: γ, β, mean, var, each `f32[o]`.
    Norm {
        /// ε
        eps: f64,
    },
}

impl FoldStep {
    /// How many inputs it takes.
    pub const fn inputs(self) -> usize {
        match self {
            Self::Scale => 1,
            Self::Norm { .. } => 4,
        }
    }
}

/// Folds a run of constants into one affine `a·x + c`, in f64, rounded once: from `a = 1` and `c = 0` on, a scale makes `s·a` and `s·c` of them,
/// and a norm, with `r = γ/√(var + ε)`, `r·a` and `r·(c − mean) + β`.
///
/// Inputs: those of the steps, one after the other. Outputs: a and c, `f32[o]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldAffine {
    /// The channels o.
    pub channels: usize,
    /// The constants in the order in which they are applied.
    pub steps: Vec<FoldStep>,
}

/// Exactly the inputs of these steps over `o` channels.
pub(super) fn check_steps(steps: &[FoldStep], inputs: &[&ValueMeta], o: usize) -> Result<(), Mismatch> {
    let count: usize = steps.iter().map(|step| step.inputs()).sum();
    if inputs.len() != count {
        return Err(Mismatch::new(format!("{count} constants"), inputs.len().to_string()));
    }
    let mut rest = inputs;
    for step in steps {
        let here;
        (here, rest) = rest.split_at(step.inputs());
        match (step, here) {
            (FoldStep::Norm { .. }, &[gamma, beta, mean, var]) => {
                [(gamma, "gamma"), (beta, "beta"), (mean, "mean"), (var, "variance")]
                    .into_iter()
                    .try_for_each(|(v, what)| expect::f32_vector(v, o, what))?;
            }
            (_, scales) => {
                let divides = |s: &ValueMeta| s.shape.len() <= 1 && o.is_multiple_of(s.shape.elements());
                if let Some(s) = scales.iter().find(|s| s.meaning != Meaning::F32 || !divides(s)) {
                    return Err(Mismatch::new(format!("a scale vector that divides {o} channels"), s.to_string()));
                }
            }
        }
    }
    Ok(())
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

impl Operator for TernaryAffine {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [positive, negative, a_p, a_n, c] = expect::inputs(inputs)?;
        if !matches!(positive.meaning, Meaning::Int { .. }) || positive != negative {
            return Err(Mismatch::new("two maps of integers that are alike", format!("{positive} and {negative}")));
        }
        let o = positive.shape.channels();
        [(a_p, "a_p"), (a_n, "a_n"), (c, "c")].into_iter().try_for_each(|(v, what)| expect::f32_vector(v, o, what))?;
        Ok(vec![ValueMeta::f32(positive.shape.clone())])
    }
}

impl Operator for FoldAffine {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        check_steps(&self.steps, inputs, self.channels)?;
        Ok(vec![ValueMeta::f32([self.channels]); 2])
    }
}
