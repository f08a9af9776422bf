//! Element-wise functions of one operand.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::{Arithmetic, Compare, Comparison, Select, expect};

/// The function of [`Unary`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UnaryFunction {
    /// `−x`
    Neg,
    /// `|x|`; its gradient at 0 is `+dy`, after `sign(0) = +1`.
    Abs,
    /// `eˣ`
    Exp,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// The hyperbolic tangent.
    Tanh,
    /// `2^round(log₂ x)`, exactly: the power of two that is nearest in ratio; no f32 lies half way. 0 at 0, NaN below. No gradient, for it is flat
    /// between its steps.
    PowerOfTwo,
}

impl UnaryFunction {
    /// The name in specs, dumps and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Tanh => "tanh",
            Self::PowerOfTwo => "power_of_two",
        }
    }
}

/// An element-wise function. Input and output: f32 of one shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unary {
    /// The function.
    pub function: UnaryFunction,
}

impl Operator for Unary {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        Ok(vec![x.clone()])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(match self.function {
            UnaryFunction::Neg | UnaryFunction::PowerOfTwo => Vec::new(),
            UnaryFunction::Abs => {
                let zero = f.emit(super::Fill { value: 0.0, shape: crate::Shape::default() }, &[])?;
                vec![f.emit(Compare { comparison: Comparison::GreaterEqual }, &[inputs[0], zero])?]
            }
            UnaryFunction::Exp | UnaryFunction::Sqrt | UnaryFunction::Tanh => outputs.to_vec(),
            UnaryFunction::Log => inputs.to_vec(),
        })
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let neg = |b: &mut Backward| b.emit(Self { function: UnaryFunction::Neg }, &[dy]);
        let dx = match self.function {
            UnaryFunction::Neg => neg(b)?,
            UnaryFunction::Abs => {
                let opposite = neg(b)?;
                b.emit(Select {}, &[saved[0], dy, opposite])?
            }
            UnaryFunction::Exp => b.emit(Arithmetic::MUL, &[dy, saved[0]])?,
            UnaryFunction::Log => b.emit(Arithmetic::DIV, &[dy, saved[0]])?,
            UnaryFunction::Sqrt => {
                let two = b.number(2.0)?;
                let slope = b.emit(Arithmetic::MUL, &[saved[0], two])?;
                b.emit(Arithmetic::DIV, &[dy, slope])?
            }
            UnaryFunction::Tanh => {
                let (one, square) = (b.number(1.0)?, b.emit(Arithmetic::MUL, &[saved[0], saved[0]])?);
                let slope = b.emit(Arithmetic::SUB, &[one, square])?;
                b.emit(Arithmetic::MUL, &[dy, slope])?
            }
            UnaryFunction::PowerOfTwo => return Ok(vec![None]),
        };
        Ok(vec![Some(dx)])
    }
}
