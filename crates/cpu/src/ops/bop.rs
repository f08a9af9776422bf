//! Updates of binary weights without latent ones.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Bop;

use super::{
    elementwise::{CHUNK, part},
    plain,
};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Bop, target: Target) -> Prepared<Kernel> {
    let (isa, threshold) = (target.isa, op.threshold);
    plain(isa.name(), move |io| {
        let (w, dw, m, gamma) = (io.state::<f32>(0), io.input::<f32>(1), io.state::<f32>(3), io.number(2));
        let rest = (1.0 - f64::from(gamma)) as f32;
        io.threads().for_chunks2((w, CHUNK), (m, CHUNK), |i, w, m| {
            let dw = part(dw, i, w.len());
            isa.vectorize(
                #[inline(always)]
                || {
                    for ((w, m), &dw) in w.iter_mut().zip(m).zip(dw) {
                        *m = rest * *m + gamma * dw;
                        let negative = *w < 0.0;
                        let flips = m.abs() > threshold && ((*m < 0.0) == negative);
                        *w = if negative == flips { 1.0 } else { -1.0 };
                    }
                },
            );
        });
    })
}
