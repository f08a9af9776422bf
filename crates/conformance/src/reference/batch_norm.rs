//! Batch normalisation over all axes but the last.

use binary_nets_graph::ops::{BatchNorm, BatchNormFused, BatchNormGrad, StatisticsMomentum, UpdateStatistics};

use super::{binary::scale_of, round};
use crate::Tensor;

/// The mean over each channel of `f(element, channel)`, shape `[c]`.
pub fn channel_mean(x: &Tensor, f: impl Fn(f64, usize) -> f64) -> Tensor {
    let (c, rows) = (x.shape.channels(), x.shape.rows());
    let mut mean = Tensor::full(&[c].into(), 0.0);
    for (i, &element) in x.data.iter().enumerate() {
        mean.data[i % c] += f(element, i % c) / rows as f64;
    }
    mean
}

/// `γ·(x − mean)/√(var + ε) + β`
pub fn normalize(x: &Tensor, gamma: &Tensor, beta: &Tensor, mean: &Tensor, var: &Tensor, eps: f64) -> Tensor {
    Tensor::from_fn(&x.shape, |p| {
        let c = p[p.len() - 1];
        gamma.data[c] * (x.at(p) - mean.data[c]) / (var.data[c] + eps).sqrt() + beta.data[c]
    })
}

/// The first `count` inputs; with an α behind them, what the integers x stand for is in their place.
pub fn floats(inputs: &[&Tensor], count: usize) -> Vec<Tensor> {
    let mut floats: Vec<Tensor> = inputs[..count].iter().map(|&input| input.clone()).collect();
    if let Some(alpha) = inputs.get(count) {
        let (x, channels) = (inputs[0], inputs[0].shape.channels());
        floats[0] = Tensor::from_fn(&x.shape, |p| round(scale_of(alpha, p[p.len() - 1], channels) * round(x.at(p))));
    }
    floats
}

/// y, mean and biased variance of x, γ and β.
fn normalized(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Vec<Tensor> {
    let mean = channel_mean(x, |x, _| x);
    let var = channel_mean(x, |x, c| (x - mean.data[c]).powi(2));
    vec![normalize(x, gamma, beta, &mean, &var, eps), mean, var]
}

/// y, mean and biased variance.
pub fn forward(op: &BatchNorm, inputs: &[&Tensor]) -> Vec<Tensor> {
    let inputs = floats(inputs, 5);
    normalized(&inputs[0], &inputs[1], &inputs[2], op.eps)
}

/// The same, with what stands behind y.
pub fn fused(op: &BatchNormFused, inputs: &[&Tensor]) -> Vec<Tensor> {
    let inputs = floats(inputs, 3 + usize::from(op.add));
    let mut outputs = normalized(&inputs[0], &inputs[1], &inputs[2], op.eps);
    if op.add {
        outputs[0] = outputs[0].zip(&inputs[3], |y, other| y + other);
    }
    if op.relu {
        outputs[0] = outputs[0].map(|y| y.max(0.0));
    }
    outputs
}

/// dx, dγ, dβ. With `x̂ = (x − mean)/√(var + ε)`: `dβ = Σ dy`, `dγ = Σ dy·x̂`, `dx = γ/√(var + ε)·(dy − mean(dy) − x̂·mean(dy·x̂))`.
pub fn grad(op: &BatchNormGrad, inputs: &[&Tensor]) -> Vec<Tensor> {
    let inputs = floats(inputs, 5);
    let [x, gamma, mean, var, dy] = &inputs[..] else { panic!("batch_norm_grad takes 5 inputs, and an α") };
    let (c, rows) = (x.shape.channels(), x.shape.rows() as f64);
    let one = Tensor::full(&[c].into(), 1.0);
    let zero = Tensor::full(&[c].into(), 0.0);
    let x_hat = normalize(x, &one, &zero, mean, var, op.eps);
    let mean_dy = channel_mean(dy, |dy, _| dy);
    let mean_dy_x_hat = channel_mean(&dy.zip(&x_hat, |dy, x_hat| dy * x_hat), |product, _| product);
    let dx = Tensor::from_fn(&x.shape, |p| {
        let c = p[p.len() - 1];
        let factor = gamma.data[c] / (var.data[c] + op.eps).sqrt();
        factor * (dy.at(p) - mean_dy.data[c] - x_hat.at(p) * mean_dy_x_hat.data[c])
    });
    vec![dx, mean_dy_x_hat.map(|m| m * rows), mean_dy.map(|m| m * rows)]
}

/// The new running mean and variance.
pub fn update(op: &UpdateStatistics, inputs: &[&Tensor], step: u64) -> Vec<Tensor> {
    let &[running_mean, running_var, mean, var] = inputs else { panic!("update_statistics takes 4 inputs") };
    let momentum = match op.momentum {
        StatisticsMomentum::Fixed(momentum) => momentum,
        StatisticsMomentum::Cumulative => 1.0 / (step as f64 + 1.0),
    };
    let unbiased = op.count as f64 / (op.count as f64 - 1.0);
    let moved = |running: f64, batch: f64| running + momentum * (batch - running);
    vec![running_mean.zip(mean, moved), running_var.zip(var, |running, var| moved(running, var * unbiased))]
}
