//! The rectifier.

use binary_nets_exec::Prepared;

use super::{elementwise, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    plain(isa.name(), move |io| elementwise::map(isa, io.threads(), io.output(0), io.input(0), relu))
}

/// Written so that a NaN stays one, and is found where it arose.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
