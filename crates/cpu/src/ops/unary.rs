//! Element-wise functions of one operand.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::{Unary, UnaryFunction};

use super::{elementwise::map, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Unary, target: Target) -> Prepared<Kernel> {
    let (isa, function) = (target.isa, op.function);
    plain(isa.name(), move |io| {
        let (threads, x, y) = (io.threads(), io.input::<f32>(0), io.output::<f32>(0));
        match function {
            UnaryFunction::Neg => map(isa, threads, y, x, |x| -x),
            UnaryFunction::Abs => map(isa, threads, y, x, f32::abs),
            UnaryFunction::Exp => map(isa, threads, y, x, f32::exp),
            UnaryFunction::Log => map(isa, threads, y, x, f32::ln),
            UnaryFunction::Sqrt => map(isa, threads, y, x, f32::sqrt),
        }
    })
}
