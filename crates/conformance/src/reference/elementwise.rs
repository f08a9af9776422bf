//! One element from the elements at its place.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{ApplyMask, ArithmeticFunction, Comparison, IntervalMask, NormalizeImage, UnaryFunction};

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
        UnaryFunction::Tanh => x.tanh(),
        UnaryFunction::PowerOfTwo if x < 0.0 => f64::NAN,
        // No f32 is so close to a power of two times √2 that the logarithm in f64 would round the other way.
        UnaryFunction::PowerOfTwo => x.log2().round_ties_even().exp2(),
    }
}

pub fn prelu(x: &Tensor, slope: &Tensor) -> Tensor {
    Tensor::from_fn(&x.shape, |p| if x.at(p) > 0.0 { x.at(p) } else { slope.stretched(p) * x.at(p) })
}

/// The mask can be flattened; its elements stand in the same order.
pub fn apply_mask(op: &ApplyMask, mask: &Tensor, x: &Tensor) -> Tensor {
    let mask = Tensor::new(x.shape.clone(), mask.data.clone());
    mask.zip(x, |bit, x| if is_set(bit) { f64::from(op.scale) * x } else { 0.0 })
}

pub fn interval_mask(op: &IntervalMask, x: &Tensor, shape: &Shape) -> Tensor {
    let inside = x.map(|x| f64::from(u8::from(f64::from(op.min) <= x && x <= f64::from(op.max))));
    Tensor::new(shape.clone(), inside.data)
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
