//! Adam.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Adam;

use super::{
    elementwise::{CHUNK, clamp, part},
    plain,
};
use crate::{io::Kernel, target::Target};

/// The numbers of a step are f64, each rounded once; the elements are f32.
pub fn prepare(op: &Adam, target: Target) -> Prepared<Kernel> {
    let (isa, op) = (target.isa, op.clone());
    let bound = op.clamp.unwrap_or(f32::INFINITY);
    plain(isa.name(), move |io| {
        let (w, dw, m, v) = (io.state::<f32>(0), io.input::<f32>(1), io.state::<f32>(4), io.state::<f32>(5));
        let (lr, t) = (f64::from(io.number(2)), f64::from(io.number(3)));
        let rate = (lr / (1.0 - op.beta1.powf(t))) as f32;
        let root = (1.0 - op.beta2.powf(t)).sqrt() as f32;
        let (beta1, beta2, eps, decay) = (op.beta1 as f32, op.beta2 as f32, op.eps as f32, op.weight_decay);
        let (rest1, rest2) = ((1.0 - op.beta1) as f32, (1.0 - op.beta2) as f32);
        io.threads().for_chunks3((w, CHUNK), (m, CHUNK), (v, CHUNK), |i, w, m, v| {
            let dw = part(dw, i, w.len());
            isa.vectorize(
                #[inline(always)]
                || {
                    for (((w, m), v), &dw) in w.iter_mut().zip(m).zip(v).zip(dw) {
                        let g = dw + decay * *w;
                        *m = beta1 * *m + rest1 * g;
                        *v = beta2 * *v + rest2 * (g * g);
                        *w = clamp(*w - rate * (*m / (v.sqrt() / root + eps)), -bound, bound);
                    }
                },
            );
        });
    })
}

/// The kernel of [`binary_nets_graph::ops::Increment`].
pub fn prepare_increment() -> Prepared<Kernel> {
    plain("plain", |io| io.state::<f32>(0)[0] += 1.0)
}
