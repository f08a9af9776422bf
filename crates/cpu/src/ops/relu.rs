//! The rectifier.

use binary_nets_exec::Prepared;

use super::{elementwise, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    // Written so that a NaN stays one, and is found where it arose.
    plain(isa.name(), move |io| {
        elementwise::map(isa, io.threads(), io.output(0), io.input(0), |x| if x < 0.0 { 0.0 } else { x });
    })
}
