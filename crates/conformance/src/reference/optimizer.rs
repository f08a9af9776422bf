//! Updates of parameters.

use binary_nets_graph::ops::{Adam, Bop, Sgd};

use crate::Tensor;

fn clamped(w: f64, clamp: Option<f32>) -> f64 {
    clamp.map_or(w, |limit| w.max(-f64::from(limit)).min(f64::from(limit)))
}

/// The new w, and with momentum the new velocity.
pub fn sgd(op: &Sgd, inputs: &[&Tensor]) -> Vec<Tensor> {
    let (w, dw, lr) = (inputs[0], inputs[1], inputs[2].data[0]);
    let momentum = f64::from(op.momentum);
    let g = w.zip(dw, |w, dw| dw + f64::from(op.weight_decay) * w);
    let moved = |g: &Tensor| w.zip(g, |w, g| clamped(w - lr * g, op.clamp));
    match inputs.get(3) {
        None => vec![moved(&g)],
        Some(v) => {
            let v = v.zip(&g, |v, g| momentum * v + g);
            let direction = if op.nesterov { g.zip(&v, |g, v| g + momentum * v) } else { v.clone() };
            vec![moved(&direction), v]
        }
    }
}

/// The new w, m and v, and with `amsgrad` the new vmax.
pub fn adam(op: &Adam, inputs: &[&Tensor]) -> Vec<Tensor> {
    let &[w, dw, lr, t, m, v, ref largest @ ..] = inputs else { panic!("adam takes 6 inputs or 7") };
    let (lr, t, decay) = (lr.data[0], t.data[0], f64::from(op.weight_decay));
    let g = if op.decoupled { dw.clone() } else { w.zip(dw, |w, dw| dw + decay * w) };
    let m = m.zip(&g, |m, g| op.beta1 * m + (1.0 - op.beta1) * g);
    let v = v.zip(&g, |v, g| op.beta2 * v + (1.0 - op.beta2) * g * g);
    let largest = largest.first().map(|largest| largest.zip(&v, f64::max));
    let step = lr / (1.0 - op.beta1.powf(t));
    let root = (1.0 - op.beta2.powf(t)).sqrt();
    let update = m.zip(largest.as_ref().unwrap_or(&v), |m, v| step * m / (v.sqrt() / root + op.eps));
    let w = if op.decoupled { w.map(|w| w - lr * decay * w) } else { w.clone() };
    [w.zip(&update, |w, update| clamped(w - update, op.clamp)), m, v].into_iter().chain(largest).collect()
}

/// The new w and m.
pub fn bop(op: &Bop, inputs: &[&Tensor]) -> Vec<Tensor> {
    let &[w, dw, gamma, m] = inputs else { panic!("bop takes 4 inputs") };
    let gamma = gamma.data[0];
    let m = m.zip(dw, |m, g| (1.0 - gamma) * m + gamma * g);
    let sign = |x: f64| if x < 0.0 { -1.0 } else { 1.0 };
    let flipped = |w, m: f64| if m.abs() > f64::from(op.threshold) && sign(m) == sign(w) { -sign(w) } else { sign(w) };
    vec![w.zip(&m, flipped), m]
}
