//! Pseudo-gradients of the binarising activations.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::{Surrogate, SurrogateGrad};

use super::{elementwise, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &SurrogateGrad, target: Target) -> Prepared<Kernel> {
    let (isa, gradient) = (target.isa, op.gradient);
    plain(isa.name(), move |io| {
        let (threads, x, dy, dx) = (io.threads(), io.input::<f32>(0), io.input::<f32>(1), io.output::<f32>(0));
        match gradient {
            Surrogate::Identity => elementwise::copy(threads, dx, dy),
            Surrogate::Clip => elementwise::zip(isa, threads, dx, x, dy, |x, g| if x.abs() <= 1.0 { g } else { 0.0 }),
            Surrogate::Approx => elementwise::zip(isa, threads, dx, x, dy, |x, g| {
                let slope = 2.0 - 2.0 * x.abs();
                if x.abs() <= 1.0 { g * slope } else { 0.0 }
            }),
        }
    })
}
