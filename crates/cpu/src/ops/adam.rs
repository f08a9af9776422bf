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
    plain(isa.name(), move |io| {
        let (w, dw, m, v) = (io.state::<f32>(0), io.input::<f32>(1), io.state::<f32>(4), io.state::<f32>(5));
        let step = Step::new(&op, io.number(2), io.number(3));
        if op.amsgrad {
            io.threads().for_chunks4([w, m, v, io.state::<f32>(6)], CHUNK, |i, w, m, v, vmax| {
                let (step, dw) = (step, part(dw, i, w.len()));
                isa.vectorize(
                    #[inline(always)]
                    || {
                        for ((((w, m), v), vmax), &dw) in w.iter_mut().zip(m).zip(v).zip(vmax).zip(dw) {
                            step.moments(*w, dw, m, v);
                            *vmax = if *v > *vmax { *v } else { *vmax };
                            *w = step.moved(*w, *m, *vmax);
                        }
                    },
                );
            });
        } else {
            io.threads().for_chunks3((w, CHUNK), (m, CHUNK), (v, CHUNK), |i, w, m, v| {
                let (step, dw) = (step, part(dw, i, w.len()));
                isa.vectorize(
                    #[inline(always)]
                    || {
                        for (((w, m), v), &dw) in w.iter_mut().zip(m).zip(v).zip(dw) {
                            step.moments(*w, dw, m, v);
                            *w = step.moved(*w, *m, *v);
                        }
                    },
                );
            });
        }
    })
}

/// The numbers of a step.
#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    /// `√(1−β₂ᵗ)`
    root: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    eps: f32,
    /// The factor of w in the gradient.
    decay: f32,
    /// The part of w that is taken off before the step.
    shrink: f32,
    bound: f32,
}

impl Step {
    fn new(op: &Adam, lr: f32, t: f32) -> Self {
        let (lr, t) = (f64::from(lr), f64::from(t));
        Self {
            rate: (lr / (1.0 - op.beta1.powf(t))) as f32,
            root: (1.0 - op.beta2.powf(t)).sqrt() as f32,
            beta1: op.beta1 as f32,
            beta2: op.beta2 as f32,
            rest1: (1.0 - op.beta1) as f32,
            rest2: (1.0 - op.beta2) as f32,
            eps: op.eps as f32,
            decay: if op.decoupled { 0.0 } else { op.weight_decay },
            shrink: if op.decoupled { (lr * f64::from(op.weight_decay)) as f32 } else { 0.0 },
            bound: op.clamp.unwrap_or(f32::INFINITY),
        }
    }

    #[inline(always)]
    fn moments(&self, w: f32, dw: f32, m: &mut f32, v: &mut f32) {
        let g = dw + self.decay * w;
        *m = self.beta1 * *m + self.rest1 * g;
        *v = self.beta2 * *v + self.rest2 * (g * g);
    }

    #[inline(always)]
    fn moved(&self, w: f32, m: f32, v: f32) -> f32 {
        let w = w - self.shrink * w;
        clamp(w - self.rate * (m / (v.sqrt() / self.root + self.eps)), -self.bound, self.bound)
    }
}
