//! Functions of one element, or of two that stand at the same place.

use binary_nets_graph::Value;
use binary_nets_graph::ops::{ArithmeticFunction, Clamp, Comparison, UnaryFunction};

use super::{Exported, Exporter};
use crate::FormatError;
use crate::onnx::proto::DataType;

impl Exporter<'_> {
    fn operands(&mut self, inputs: &[Value], rank: usize) -> Result<Vec<String>, FormatError> {
        inputs.iter().map(|&input| self.operand(input, rank)).collect()
    }

    /// A sum, a product, …
    pub fn arithmetic(
        &mut self,
        function: ArithmeticFunction,
        inputs: &[Value],
        rank: usize,
    ) -> Result<String, FormatError> {
        let op = match function {
            ArithmeticFunction::Add => "Add",
            ArithmeticFunction::Sub => "Sub",
            ArithmeticFunction::Mul => "Mul",
            ArithmeticFunction::Div => "Div",
            ArithmeticFunction::Min => "Min",
            ArithmeticFunction::Max => "Max",
        };
        let operands = self.operands(inputs, rank)?;
        Ok(self.writer.node(op, self.path, &[&operands[0], &operands[1]], Vec::new()))
    }

    /// A function of one number.
    pub fn unary(&mut self, function: UnaryFunction, inputs: &[Value]) -> Result<String, FormatError> {
        let op = match function {
            UnaryFunction::Neg => "Neg",
            UnaryFunction::Abs => "Abs",
            UnaryFunction::Exp => "Exp",
            UnaryFunction::Log => "Log",
            UnaryFunction::Sqrt => "Sqrt",
            UnaryFunction::Tanh => "Tanh",
            UnaryFunction::PowerOfTwo => return Err(self.refuse("there is no exact power of two in ONNX")),
        };
        self.simple(op, inputs)
    }

    /// x within bounds.
    pub fn clamp(&mut self, clamp: &Clamp, x: Value) -> Result<String, FormatError> {
        let x = self.map(x)?;
        let (min, max) = (self.writer.number(clamp.min), self.writer.number(clamp.max));
        Ok(self.writer.node("Clip", self.path, &[&x, &min, &max], Vec::new()))
    }

    /// The rectifier with a slope a channel, or one.
    pub fn prelu(&mut self, inputs: &[Value]) -> Result<String, FormatError> {
        let x = self.map(inputs[0])?;
        let slope = self.operand(inputs[1], self.shape(inputs[0]).len())?;
        Ok(self.writer.node("PRelu", self.path, &[&x, &slope], Vec::new()))
    }

    /// Where a relation holds.
    pub fn compare(&mut self, comparison: Comparison, inputs: &[Value], rank: usize) -> Result<String, FormatError> {
        let op = match comparison {
            Comparison::Less => "Less",
            Comparison::LessEqual => "LessOrEqual",
            Comparison::Greater => "Greater",
            Comparison::GreaterEqual => "GreaterOrEqual",
            Comparison::Equal => "Equal",
        };
        let operands = self.operands(inputs, rank)?;
        Ok(self.writer.node(op, self.path, &[&operands[0], &operands[1]], Vec::new()))
    }

    /// One of two values, by a mask.
    pub fn select(&mut self, inputs: &[Value], rank: usize) -> Result<String, FormatError> {
        let mask = if let Exported::Mask(name) = &self.values[inputs[0].index()] {
            name.clone()
        } else {
            let mask = self.map(inputs[0])?;
            self.writer.cast(self.path, &mask, DataType::Bool)
        };
        let operands = self.operands(&inputs[1..], rank)?;
        Ok(self.writer.node("Where", self.path, &[&mask, &operands[0], &operands[1]], Vec::new()))
    }
}
