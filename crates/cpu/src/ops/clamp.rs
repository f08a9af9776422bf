//! The clamp.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Clamp;

use super::{elementwise, in_place, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Clamp, target: Target) -> Prepared<Kernel> {
    let (isa, min, max) = (target.isa, op.min, op.max);
    let kernel = plain(isa.name(), move |io| {
        let x = io.unless_replaced(0);
        elementwise::map(isa, io.threads(), io.output(0), x, |x| elementwise::clamp(x, min, max));
    });
    in_place(&[0], kernel)
}
