//! Pseudo-gradients of the binarising activations.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::{SurrogateGrad, SurrogateSlope};

use super::{elementwise, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &SurrogateGrad, target: Target) -> Prepared<Kernel> {
    let (isa, gradient) = (target.isa, op.gradient);
    plain(isa.name(), move |io| {
        let (threads, x, dy, dx) = (io.threads(), io.input::<f32>(0), io.input::<f32>(1), io.output::<f32>(0));
        match gradient {
            SurrogateSlope::Clip => {
                elementwise::zip(isa, threads, dx, x, dy, |x, g| if x.abs() <= 1.0 { g } else { 0.0 });
            }
            SurrogateSlope::Approx => elementwise::zip(isa, threads, dx, x, dy, |x, g| {
                let slope = 2.0 - 2.0 * x.abs();
                if x.abs() <= 1.0 { g * slope } else { 0.0 }
            }),
            SurrogateSlope::Swish { beta } => {
                let beta = f64::from(beta);
                elementwise::zip(isa, threads, dx, x, dy, |x, g| (f64::from(g) * swish(beta, f64::from(x))) as f32);
            }
        }
    })
}

/// `β(2 − z·tanh(z/2)) / (1 + cosh z)` with `z = β|x|`, written in `e = exp(−z)`, which cannot overflow:
/// `1 + cosh z = (1 + e)²/2e` and `tanh(z/2) = (1 − e)/(1 + e)`.
#[inline(always)]
fn swish(beta: f64, x: f64) -> f64 {
    let z = beta * x.abs();
    let e = (-z).exp();
    let sum = 1.0 + e;
    beta * 2.0 * e / (sum * sum) * (2.0 - z * (1.0 - e) / sum)
}
