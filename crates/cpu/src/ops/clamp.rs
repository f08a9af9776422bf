//! The clamp.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Clamp;

use super::{elementwise, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Clamp, target: Target) -> Prepared<Kernel> {
    let (isa, min, max) = (target.isa, op.min, op.max);
    plain(isa.name(), move |io| {
        elementwise::map(isa, io.threads(), io.output(0), io.input(0), |x| elementwise::clamp(x, min, max));
    })
}
