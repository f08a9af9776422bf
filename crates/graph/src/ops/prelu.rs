//! The rectifier with a learned slope.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Meaning, Mismatch, Shape, Value, ValueMeta};

use super::arithmetic::unbroadcast;
use super::{Arithmetic, ArithmeticFunction, Fill, Select, Step, Surrogate, expect};

/// `y = x` where `x > 0`, else `slope·x` (`PReLU`, He et al. 2015).
///
/// Inputs: x `f32[…, c]`, slope `f32[c]` or `f32[1]`. Output: like x. Backward: `dx = dy` where `x > 0`, else `slope·dy`; `dslope = Σ dy·min(x, 0)` over
/// all that share the slope.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prelu {}

impl Operator for Prelu {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x, slope] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if x.shape.is_empty() {
            return Err(Mismatch::new("x as an f32 tensor of rank 1 or more", x.to_string()));
        }
        let c = x.shape.channels();
        if slope.meaning == Meaning::F32 && (slope.shape[..] == [1] || slope.shape[..] == [c]) {
            Ok(vec![x.clone()])
        } else {
            Err(Mismatch::new(format!("a slope f32[{c}] or f32[1]"), slope.to_string()))
        }
    }

    /// The bits of `x > 0` are for dx, x itself for the slope alone.
    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        let positive = f.emit(Step { gradient: Surrogate::Identity, groups: 1 }, &inputs[..1])?;
        Ok(vec![inputs[0], inputs[1], positive])
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let (&[x, slope, positive], &[Some(dy)]) = (saved, dys) else { return Ok(vec![None, None]) };
        let mut grads = vec![None, None];
        if b.wants(0) {
            let negative = b.emit(Arithmetic::MUL, &[dy, slope])?;
            grads[0] = Some(b.emit(Select {}, &[positive, dy, negative])?);
        }
        if b.wants(1) {
            let zero = b.emit(Fill { value: 0.0, shape: Shape::default() }, &[])?;
            let negative = b.emit(Arithmetic { function: ArithmeticFunction::Min }, &[x, zero])?;
            let product = b.emit(Arithmetic::MUL, &[dy, negative])?;
            let operand = b.input(1).clone();
            grads[1] = Some(unbroadcast(b, product, &operand)?);
        }
        Ok(grads)
    }
}
