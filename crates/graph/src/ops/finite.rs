//! Whether numbers are finite.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// 1 if every element of every input is finite, else 0. Inputs: any number of f32 tensors. Output: `f32[]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finite {}

impl Operator for Finite {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        inputs.iter().try_for_each(|x| expect::f32(x))?;
        Ok(vec![ValueMeta::f32([])])
    }
}
