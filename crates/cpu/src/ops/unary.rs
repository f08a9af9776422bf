//! Element-wise functions of one operand.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::{Unary, UnaryFunction};

use super::{elementwise::map, in_place, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Unary, target: Target) -> Prepared<Kernel> {
    let (isa, function) = (target.isa, op.function);
    let kernel = plain(isa.name(), move |io| {
        let (threads, x, y) = (io.threads(), io.unless_replaced::<f32>(0), io.output::<f32>(0));
        match function {
            UnaryFunction::Neg => map(isa, threads, y, x, |x| -x),
            UnaryFunction::Abs => map(isa, threads, y, x, f32::abs),
            UnaryFunction::Exp => map(isa, threads, y, x, f32::exp),
            UnaryFunction::Log => map(isa, threads, y, x, f32::ln),
            UnaryFunction::Sqrt => map(isa, threads, y, x, f32::sqrt),
            UnaryFunction::Tanh => map(isa, threads, y, x, |x| f64::from(x).tanh() as f32),
            UnaryFunction::PowerOfTwo => map(isa, threads, y, x, power_of_two),
        }
    });
    in_place(&[0], kernel)
}

/// `2^round(log₂ x)`: the exponent of x in f64, where every f32 has one, and one more where the mantissa exceeds that of √2.
#[inline(always)]
fn power_of_two(x: f32) -> f32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const CARRY: u64 = (1 << 52) - (std::f64::consts::SQRT_2.to_bits() & MANTISSA);
    // The bits of some NaN overflow, and are not what is returned.
    let power = f64::from_bits(f64::from(x).to_bits().wrapping_add(CARRY) & !MANTISSA) as f32;
    let other = if x == 0.0 { 0.0 } else { f32::NAN };
    if x > 0.0 { power } else { other }
}
