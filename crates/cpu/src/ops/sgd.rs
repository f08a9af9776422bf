//! Stochastic gradient descent.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Sgd;

use super::{
    elementwise::{CHUNK, clamp, part},
    plain,
};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Sgd, target: Target) -> Prepared<Kernel> {
    let (isa, op) = (target.isa, op.clone());
    let bound = op.clamp.unwrap_or(f32::INFINITY);
    plain(isa.name(), move |io| {
        let (w, dw, lr) = (io.state::<f32>(0), io.input::<f32>(1), io.number(2));
        let Sgd { momentum, nesterov, weight_decay, .. } = op;
        let updated = move |w: f32, g: f32| clamp(w - lr * g, -bound, bound);
        if momentum == 0.0 {
            io.threads().for_chunks(w, CHUNK, |i, w| {
                let dw = part(dw, i, w.len());
                isa.vectorize(
                    #[inline(always)]
                    || w.iter_mut().zip(dw).for_each(|(w, &dw)| *w = updated(*w, dw + weight_decay * *w)),
                );
            });
        } else {
            io.threads().for_chunks2((w, CHUNK), (io.state::<f32>(3), CHUNK), |i, w, v| {
                let dw = part(dw, i, w.len());
                isa.vectorize(
                    #[inline(always)]
                    || {
                        for ((w, v), &dw) in w.iter_mut().zip(v).zip(dw) {
                            let g = dw + weight_decay * *w;
                            *v = momentum * *v + g;
                            *w = updated(*w, if nesterov { g + momentum * *v } else { *v });
                        }
                    },
                );
            });
        }
    })
}
