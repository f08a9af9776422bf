//! A choice as a row of zeroes and a one.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Meaning, Mismatch, Shape, ValueMeta};

use super::expect;

/// 1 at the class that is chosen, else 0. Input: `index(classes)[…]`. Output: `f32[…, classes]`. No gradient: a choice is data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneHot {}

impl Operator for OneHot {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [label] = expect::inputs(inputs)?;
        let Meaning::Index { classes } = label.meaning else {
            return Err(Mismatch::new("an index(classes)[…]", label.to_string()));
        };
        let mut extents = label.shape.to_vec();
        extents.push(classes as usize);
        Ok(vec![ValueMeta::f32(Shape::from(extents))])
    }
}
