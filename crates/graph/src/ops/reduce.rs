//! Sums, means and maxima over axes.

use serde::{Deserialize, Serialize};

use crate::op::{Backward, Forward, Operator};
use crate::{GraphError, Mismatch, Shape, Value, ValueMeta};

use super::arithmetic::rebroadcast;
use super::{ApplyMask, Arithmetic, Compare, Comparison, Select, expect};

/// The function of [`Reduce`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reduction {
    /// The sum, in f64 in ascending order, rounded once.
    Sum,
    /// The sum over the number of elements, rounded once.
    Mean,
    /// The largest; equal ones share its gradient.
    Max,
}

impl Reduction {
    /// The name in specs, dumps and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }
}

/// A function over whole axes. Input and output: f32.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// The function.
    pub reduction: Reduction,
    /// The axes, ascending.
    pub axes: Vec<usize>,
    /// Whether reduced axes stay, with extent 1.
    pub keep: bool,
}

impl Operator for Reduce {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let [x] = expect::inputs(inputs)?;
        expect::f32(x)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.last().is_some_and(|&axis| axis >= x.shape.len()) {
            return Err(Mismatch::new(format!("ascending axes below {}", x.shape.len()), format!("{:?}", self.axes)));
        }
        let extents: Vec<usize> = (0..x.shape.len())
            .filter_map(|axis| match (self.axes.contains(&axis), self.keep) {
                (false, _) => Some(x.shape[axis]),
                (true, true) => Some(1),
                (true, false) => None,
            })
            .collect();
        Ok(vec![ValueMeta::f32(Shape::from(extents))])
    }

    fn save(&self, _: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(match self.reduction {
            Reduction::Sum | Reduction::Mean => Vec::new(),
            Reduction::Max => vec![inputs[0], outputs[0]],
        })
    }

    fn vjp(&self, b: &mut Backward, saved: &[Value], dys: &[Option<Value>]) -> Result<Vec<Option<Value>>, GraphError> {
        let &[Some(dy)] = dys else { return Ok(vec![None]) };
        let input = b.input(0).clone();
        let dx = match self.reduction {
            Reduction::Sum => rebroadcast(b, dy, &self.axes, &input)?,
            Reduction::Mean => {
                let count: usize = self.axes.iter().map(|&axis| input.shape[axis]).product();
                let count = b.number(count as f32)?;
                let share = b.emit(Arithmetic::DIV, &[dy, count])?;
                rebroadcast(b, share, &self.axes, &input)?
            }
            Reduction::Max => {
                let largest = rebroadcast(b, saved[1], &self.axes, &input)?;
                let mask = b.emit(Compare { comparison: Comparison::Equal }, &[saved[0], largest])?;
                let (one, zero) = (b.number(1.0)?, b.number(0.0)?);
                let ties = b.emit(Select {}, &[mask, one, zero])?;
                let ties =
                    b.emit(Self { reduction: Reduction::Sum, axes: self.axes.clone(), keep: self.keep }, &[ties])?;
                let share = b.emit(Arithmetic::DIV, &[dy, ties])?;
                let share = rebroadcast(b, share, &self.axes, &input)?;
                b.emit(ApplyMask { scale: 1.0 }, &[mask, share])?
            }
        };
        Ok(vec![Some(dx)])
    }
}
