//! The norm of all gradients.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `√Σx²` over every element of every input, in f64, rounded once. Inputs: any number of f32 tensors. Output: `f32[]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalNorm {}

impl Operator for GlobalNorm {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        inputs.iter().try_for_each(|x| expect::f32(x))?;
        Ok(vec![ValueMeta::f32([])])
    }
}
