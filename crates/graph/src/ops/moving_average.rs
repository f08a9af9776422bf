//! Averages that follow what is trained.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::{Mismatch, ValueMeta};

use super::expect;

/// `average ← decay·average + (1 − decay)·x`, as `average += (1 − decay)·(x − average)`, so that the average of what stays comes to it exactly.
///
/// Inputs: average (updated in place) and x, a float tensor of its shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovingAverage {
    /// What stays of the average, in `[0, 1)`.
    pub decay: f64,
}

impl Operator for MovingAverage {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [average, x] = expect::inputs(inputs)?;
        expect::same_f32(average, x)?;
        if (0.0..1.0).contains(&self.decay) {
            Ok(Vec::new())
        } else {
            Err(Mismatch::new("a decay in [0, 1)", self.decay.to_string()))
        }
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}
