//! The rectifier.

use binary_nets_exec::Prepared;

use super::{elementwise, in_place, plain};
use crate::io::{Io, Kernel};
use crate::target::Target;

pub fn prepare(target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    let run = move |io: &Io<'_>| elementwise::map(isa, io.threads(), io.output(0), io.unless_replaced(0), relu);
    in_place(&[0], plain(isa.name(), run))
}

/// Written so that a NaN stays one, and is found where it arose.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
