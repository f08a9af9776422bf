//! One element from the elements at its place.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{ArithmeticFunction, Comparison, NormalizeImage, UnaryFunction};

use super::{binary::is_set, round};
use crate::Tensor;

pub fn normalize_image(op: &NormalizeImage, x: &Tensor) -> Tensor {
    Tensor::from_fn_rank(&x.shape, |[n, h, w, c]| round((x.at(&[n, h, w, c]) / 255.0 - op.mean[c]) / op.std[c]))
}

pub fn arithmetic(function: ArithmeticFunction, a: &Tensor, b: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let (a, b) = (a.stretched(p), b.stretched(p));
        match function {
            ArithmeticFunction::Add => a + b,
            ArithmeticFunction::Sub => a - b,
            ArithmeticFunction::Mul => a * b,
            ArithmeticFunction::Div => a / b,
            ArithmeticFunction::Min => a.min(b),
            ArithmeticFunction::Max => a.max(b),
        }
    })
}

pub fn unary(function: UnaryFunction, x: f64) -> f64 {
    match function {
        UnaryFunction::Neg => -x,
        UnaryFunction::Abs => x.abs(),
        UnaryFunction::Exp => x.exp(),
        UnaryFunction::Log => x.ln(),
        UnaryFunction::Sqrt => x.sqrt(),
    }
}

pub fn compare(comparison: Comparison, a: &Tensor, b: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let (a, b) = (a.stretched(p), b.stretched(p));
        let holds = match comparison {
            Comparison::Less => a < b,
            Comparison::LessEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterEqual => a >= b,
            Comparison::Equal => a == b,
        };
        f64::from(u8::from(holds))
    })
}

pub fn select(mask: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    Tensor::from_fn(&mask.shape, |p| if is_set(mask.at(p)) { a.stretched(p) } else { b.stretched(p) })
}
