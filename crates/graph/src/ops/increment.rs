//! Counting.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `x += 1`. Input: a state `f32[]`, updated in place: how many updates a parameter has had, or how many batches were
/// accumulated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increment {}

impl Operator for Increment {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32_rank::<0>(x, "a counter")?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}
