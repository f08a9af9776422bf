//! Codes: signs, thresholds, and the choice between two numbers by them.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{ArithmeticFunction, Compare, Comparison, Fill, Select};

use super::Importer;
use super::node::{Node, Result};
use super::term::{Codes, Map, Term, Threshold};
use crate::onnx::proto::DataType;

/// Where a relation of two values holds, as a threshold of their difference.
fn threshold(op: &str) -> (Threshold, f32, f32) {
    match op {
        "Less" => (Threshold::NonNegative, 1.0, 0.0),
        "LessOrEqual" => (Threshold::Positive, 1.0, 0.0),
        "Greater" => (Threshold::Positive, 0.0, 1.0),
        _ => (Threshold::NonNegative, 0.0, 1.0),
    }
}

impl Importer {
    /// A conversion. Floats stay floats, and truth values are numbers already.
    pub fn cast(node: &Node, x: &Term) -> Result<Term> {
        let to = i32::try_from(node.int("to", 0)).ok().and_then(DataType::from_number);
        match (to, x) {
            (Some(DataType::Float | DataType::Double), x) => Ok(x.clone()),
            (Some(DataType::Bool), Term::Codes(codes)) if codes.is_truth() => Ok(x.clone()),
            (Some(DataType::Int8 | DataType::Uint8 | DataType::Int32 | DataType::Int64), Term::Codes(codes))
                if codes.low.fract() == 0.0 && codes.high.fract() == 0.0 && codes.low.min(codes.high) >= -1.0 =>
            {
                Ok(x.clone())
            }
            _ => Err("computed values are only converted to floats".into()),
        }
    }

    /// Signs, thresholds, and the choice between two numbers by them.
    pub fn codes(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Term> {
        let op = node.proto.op_type.as_str();
        let input = |i: usize| inputs.get(i).and_then(Option::as_ref).ok_or("an input is missing");
        let x = input(0)?;
        match (op, x) {
            ("Sign", Term::Codes(codes)) => Ok(Term::Codes(codes.through(|x| if x == 0.0 { 0.0 } else { x.signum() }))),
            // The sign of −1, 0 or 1 and a bit is that of x, with 0 on the side of the bit.
            ("Sign", Term::Signum { source, shift }) => match *shift {
                0.0 => Ok(x.clone()),
                shift if shift.abs() < 1.0 => {
                    let holds = if shift > 0.0 { Threshold::NonNegative } else { Threshold::Positive };
                    Ok(Term::Codes(Codes { source: source.clone(), holds, low: -1.0, high: 1.0 }))
                }
                _ => Err("its input is a sign with 1 or more added, which has one sign only".into()),
            },
            ("Sign", x) => Ok(Term::Signum { source: self.map(x)?, shift: 0.0 }),
            ("BipolarQuant", x) => {
                let Term::Constant(scale) = input(1)? else { return Err("its scale depends on the input".into()) };
                let scale = self.number_over(scale, x).ok_or("its scale should be one number")?;
                let source = self.map(x)?;
                Ok(Term::Codes(Codes { source, holds: Threshold::NonNegative, low: -scale, high: scale }))
            }
            ("Not", Term::Codes(codes)) if codes.is_truth() => Ok(Term::Codes(codes.through(|x| 1.0 - x))),
            ("Where", Term::Codes(codes)) if codes.is_truth() => self.choose(codes, input(1)?, input(2)?),
            ("Not" | "Where", _) => Err("its condition is no comparison that is known".into()),
            _ => self.compare(op, x, input(1)?),
        }
    }

    fn compare(&mut self, op: &str, a: &Term, b: &Term) -> Result<Term> {
        // A constant comes second; then the relation is the other way round.
        let (a, b, op) = match (a, op) {
            (Term::Constant(_), "Less") => (b, a, "Greater"),
            (Term::Constant(_), "LessOrEqual") => (b, a, "GreaterOrEqual"),
            (Term::Constant(_), "Greater") => (b, a, "Less"),
            (Term::Constant(_), _) => (b, a, "LessOrEqual"),
            _ => (a, b, op),
        };
        let a = self.map(a)?;
        let source = match b {
            Term::Constant(b) if self.number_over(b, &Term::Map(a.clone())) == Some(0.0) => a,
            b => self.both(ArithmeticFunction::Sub, &a, b)?,
        };
        let (holds, low, high) = threshold(op);
        Ok(Term::Codes(Codes { source, holds, low, high }))
    }

    /// One of two by a truth value: codes again where both are numbers.
    fn choose(&mut self, codes: &Codes, yes: &Term, no: &Term) -> Result<Term> {
        let mask = Term::Codes(codes.clone());
        let number = |term: &Term| match term {
            Term::Constant(constant) => self.number_over(constant, &mask),
            _ => None,
        };
        if let (Some(yes), Some(no)) = (number(yes), number(no)) {
            return Ok(Term::Codes(codes.through(|truth| if truth == 1.0 { yes } else { no })));
        }
        let zero = self.emit(Fill { value: 0.0, shape: Shape::default() }, &[])?;
        let comparison = match codes.holds {
            Threshold::NonNegative => Comparison::GreaterEqual,
            Threshold::Positive => Comparison::Greater,
        };
        let mask = self.emit(Compare { comparison }, &[codes.source.value, zero])?;
        let (holds, fails) = if codes.high == 1.0 { (yes, no) } else { (no, yes) };
        let mut operands = vec![mask];
        for term in [holds, fails] {
            let operand = self.operand(term, &codes.source)?;
            operands.push(operand);
        }
        let value = self.emit(Select {}, &operands)?;
        Ok(Term::Map(Map { value, order: codes.source.order.clone() }))
    }
}
