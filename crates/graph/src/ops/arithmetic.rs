//! Element-wise ops of two operands.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::shape::broadcast;
use crate::{GraphError, Mismatch, Value, ValueMeta};

use super::{ApplyMask, BroadcastTo, Compare, Comparison, Reduce, Reduction, Reshape, Unary, UnaryFunction, expect};

/// The function of [`Arithmetic`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArithmeticFunction {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a · b`
    Mul,
    /// `a / b`
    Div,
    /// The smaller one; its gradient goes to a where a ≤ b, else to b.
    Min,
    /// The larger one; its gradient goes to a where a ≥ b, else to b.
    Max,
}

impl ArithmeticFunction {
    /// The name in specs, dumps and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// An element-wise function of two tensors; axes are matched from the last, extents of 1 stretch. Output: `f32` of the shared shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// The function.
    pub function: ArithmeticFunction,
}

impl Arithmetic {
    /// `a + b`
    pub const ADD: Self = Self { function: ArithmeticFunction::Add };
    /// `a − b`
    pub const SUB: Self = Self { function: ArithmeticFunction::Sub };
    /// `a · b`
    pub const MUL: Self = Self { function: ArithmeticFunction::Mul };
    /// `a / b`
    pub const DIV: Self = Self { function: ArithmeticFunction::Div };
}

/// The shape that both operands stretch to.
pub(super) fn shared_shape(a: &ValueMeta, b: &ValueMeta) -> Result<crate::Shape, Mismatch> {
    expect::f32(a)?;
    expect::f32(b)?;
    broadcast(&a.shape, &b.shape)
        .ok_or_else(|| Mismatch::new(format!("a shape that stretches to {}", a.shape), b.shape.to_string()))
}

/// Sums a gradient over the axes that its operand was stretched along.
pub(super) fn unbroadcast(b: &mut Backward, dy: Value, operand: &ValueMeta) -> Result<Value, GraphError> {
    let stretched = b.graph.meta(dy).shape.clone();
    if stretched == operand.shape {
        return Ok(dy);
    }
    let missing = stretched.len() - operand.shape.len();
    let axes: Vec<usize> =
        (0..stretched.len()).filter(|&a| a < missing || operand.shape[a - missing] != stretched[a]).collect();
    let sum = b.emit(Reduce { reduction: Reduction::Sum, axes, keep: false }, &[dy])?;
    let dims = operand.shape.iter().map(|&d| d as i64).collect();
    b.emit(Reshape { dims }, &[sum])
}

impl Operator for Arithmetic {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [a, b] = expect::inputs(inputs)?;
        Ok(vec![ValueMeta::f32(shared_shape(a, b)?)])
    }

    fn save(&self, f: &mut Forward, inputs: &[Value], _: &[Value]) -> Result<Vec<Value>, GraphError> {
        let comparison = match self.function {
            ArithmeticFunction::Add | ArithmeticFunction::Sub => return Ok(Vec::new()),
            ArithmeticFunction::Mul | ArithmeticFunction::Div => return Ok(inputs.to_vec()),
            ArithmeticFunction::Min => [Comparison::LessEqual, Comparison::Greater],
            ArithmeticFunction::Max => [Comparison::GreaterEqual, Comparison::Less],
        };
        comparison.into_iter().map(|comparison| f.emit(Compare { comparison }, inputs)).collect()
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None, None]) };
        let partial = |b: &mut Backward, operand: usize| match (self.function, operand) {
            (ArithmeticFunction::Add, _) | (ArithmeticFunction::Sub, 0) => Ok(dy),
            (ArithmeticFunction::Sub, _) => b.emit(Unary { function: UnaryFunction::Neg }, &[dy]),
            (ArithmeticFunction::Mul, _) => b.emit(Self::MUL, &[dy, saved[1 - operand]]),
            (ArithmeticFunction::Div, 0) => b.emit(Self::DIV, &[dy, saved[1]]),
            (ArithmeticFunction::Div, _) => {
                // d(a/b)/db = −(a/b)/b
                let quotient = b.emit(Self::DIV, &[saved[0], saved[1]])?;
                let slope = b.emit(Self::DIV, &[quotient, saved[1]])?;
                let product = b.emit(Self::MUL, &[dy, slope])?;
                b.emit(Unary { function: UnaryFunction::Neg }, &[product])
            }
            (ArithmeticFunction::Min | ArithmeticFunction::Max, _) => {
                b.emit(ApplyMask { scale: 1.0 }, &[saved[operand], dy])
            }
        };
        (0..2)
            .map(|i| {
                if !b.wants(i) {
                    return Ok(None);
                }
                let full = partial(b, i)?;
                let operand = b.input(i).clone();
                unbroadcast(b, full, &operand).map(Some)
            })
            .collect()
    }
}

/// Repeats a reduced gradient over the axes that were reduced.
pub(super) fn rebroadcast(b: &mut Backward, dy: Value, axes: &[usize], input: &ValueMeta) -> Result<Value, GraphError> {
    let dims =
        input.shape.iter().enumerate().map(|(axis, &d)| if axes.contains(&axis) { 1 } else { d as i64 }).collect();
    let kept = b.emit(Reshape { dims }, &[dy])?;
    b.emit(BroadcastTo { shape: input.shape.clone() }, &[kept])
}
