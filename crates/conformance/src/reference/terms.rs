//! How exact each op must be, and the sums of absolute terms that reduced errors are measured by.

use std::collections::BTreeMap;

use binary_nets_graph::ops::{Adam, BatchNormGrad, Reduction, Sgd, UnaryFunction};
use binary_nets_graph::{Op, Shape};

use super::{Randomness, apply, batch_norm};
use crate::{Class, Tensor};

/// One f32 operation, or an f64 expression rounded once.
const ROUNDED: Class = Class::Rounded { ulps: 2 };

/// A sum of f32 products or a composed f32 expression. Rounding errors of a chain of n sums grow like √n·eps/2 when they are independent: 16
/// leaves room for chains of a thousand, while a lost term of the largest sum in the suite still stands out a hundredfold.
const REDUCED: Class = Class::Reduced { factor: 16.0 };

/// How exact each output must be or, for an op that writes, each state that it writes.
pub fn classes(op: &Op) -> Vec<Class> {
    match op {
        Op::Input(_)
        | Op::Scalar(_)
        | Op::State(_)
        | Op::Fill(_)
        | Op::Constant(_)
        | Op::Sign(_)
        | Op::Step(_)
        | Op::BinaryConv2d(_)
        | Op::TernaryAffine(_)
        | Op::Relu(_)
        | Op::IntervalMask(_)
        | Op::MaxPool2d(_)
        | Op::CountCorrect(_)
        | Op::Finite(_)
        | Op::Clamp(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Transpose(_)
        | Op::Reshape(_)
        | Op::Slice(_)
        | Op::PadAxis(_)
        | Op::Concat(_)
        | Op::Repeat(_)
        | Op::BroadcastTo(_)
        | Op::OneHot(_)
        | Op::Gather(_)
        | Op::Scatter(_)
        | Op::StopGradient(_)
        | Op::Increment(_)
        | Op::Assign(_)
        | Op::Clear(_)
        | Op::Affine(_)
        | Op::ImageConv2d(_)
        | Op::Quantize(_)
        | Op::QuantizeSlope(_)
        | Op::RoundHalf(_)
        | Op::Dequantize(_) => vec![Class::Exact],
        Op::Unary(op) => vec![match op.function {
            UnaryFunction::PowerOfTwo => Class::Exact,
            UnaryFunction::Neg
            | UnaryFunction::Abs
            | UnaryFunction::Exp
            | UnaryFunction::Log
            | UnaryFunction::Sqrt
            | UnaryFunction::Tanh => ROUNDED,
        }],
        Op::NormalizeImage(_)
        | Op::Prelu(_)
        | Op::SurrogateGrad(_)
        | Op::QuantizedSlopeGrad(_)
        | Op::ApplyMask(_)
        | Op::GlobalNorm(_)
        | Op::Arithmetic(_) => vec![ROUNDED],
        Op::Reduce(op) => vec![match op.reduction {
            Reduction::Sum | Reduction::Mean => REDUCED,
            Reduction::Max => Class::Exact,
        }],
        Op::Conv2d(_)
        | Op::Conv2dGradInput(_)
        | Op::Conv2dGradWeight(_)
        | Op::BinaryConv2dGradInput(_)
        | Op::TernaryConv2dGradInput(_)
        | Op::BinaryConv2dGradWeight(_)
        | Op::BatchNormInference(_)
        | Op::MaxPool2dGrad(_)
        | Op::AvgPool2d(_)
        | Op::AvgPool2dGrad(_)
        | Op::SoftmaxCrossEntropy(_)
        | Op::SoftmaxCrossEntropyGrad(_)
        | Op::Matmul(_)
        | Op::MovingAverage(_) => vec![REDUCED],
        Op::BinarizeWeight(_) | Op::Bop(_) => vec![Class::Exact, REDUCED],
        Op::MaxPool2dIndex(_) | Op::TernarizeWeight(_) | Op::TernaryConv2d(_) | Op::QuantizeWeight(_) => {
            vec![Class::Exact; 2]
        }
        Op::TernarizeWeightGrad(_) => vec![ROUNDED, REDUCED, REDUCED],
        Op::BatchNorm(_) | Op::BatchNormFused(_) | Op::BatchNormGrad(_) => vec![REDUCED; 3],
        Op::Adam(op) => vec![REDUCED; if op.amsgrad { 4 } else { 3 }],
        Op::UpdateStatistics(_) => vec![REDUCED; 2],
        Op::Dropout(_) => vec![ROUNDED, Class::Exact],
        Op::Sgd(op) => vec![REDUCED; if op.momentum == 0.0 { 1 } else { 2 }],
        Op::FoldAffine(_) => vec![ROUNDED; 2],
        Op::FoldStem(_) => vec![Class::Exact, ROUNDED, ROUNDED],
        Op::Fused(op) => vec![Class::Exact; op.outputs.len()],
    }
}

/// `Σ|terms|` of each result: for a sum the sum of its absolute terms, for a composed expression what is left of it when every difference is made a
/// sum. Results that are not reduced are their own only term.
///
/// # Panics
///
/// When the inputs are not such as the op takes.
pub fn terms(
    op: &Op,
    inputs: &[&Tensor],
    shapes: &[&Shape],
    results: &[Tensor],
    randomness: Randomness,
) -> Vec<Tensor> {
    let absolute: Vec<Tensor> = inputs.iter().map(|x| x.map(f64::abs)).collect();
    let absolute: Vec<&Tensor> = absolute.iter().collect();
    match op {
        Op::Conv2d(_)
        | Op::Conv2dGradInput(_)
        | Op::Conv2dGradWeight(_)
        | Op::BinaryConv2dGradInput(_)
        | Op::BinaryConv2dGradWeight(_)
        | Op::MaxPool2dGrad(_)
        | Op::AvgPool2d(_)
        | Op::AvgPool2dGrad(_)
        | Op::Matmul(_)
        | Op::Reduce(_) => apply(op, &absolute, shapes, &BTreeMap::new(), randomness).expect("no leaf is read"),
        Op::TernarizeWeightGrad(_) => {
            let sums = apply(op, &absolute, shapes, &BTreeMap::new(), randomness).expect("no leaf is read");
            sums.iter().map(|sum| sum.map(f64::abs)).collect()
        }
        Op::TernaryConv2dGradInput(_) => {
            // |q| = |w_p|·positive + |w_n|·negative, where the op subtracts.
            let below = absolute[4].map(|w_n| -w_n);
            let inputs = [&absolute[..4], &[&below]].concat();
            apply(op, &inputs, shapes, &BTreeMap::new(), randomness).expect("no leaf is read")
        }
        Op::BatchNorm(op) => batch_norm_terms(op.eps, &batch_norm::floats(inputs, 5), results),
        Op::BatchNormFused(op) => {
            let inputs = batch_norm::floats(inputs, 3 + usize::from(op.add));
            let mut terms = batch_norm_terms(op.eps, &inputs, results);
            if op.add {
                terms[0] = terms[0].zip(absolute[3], |y, other| y + other);
            }
            terms
        }
        Op::BatchNormGrad(op) => batch_norm_grad_terms(op, &batch_norm::floats(inputs, 5)),
        Op::BatchNormInference(op) => {
            vec![normalized_terms(absolute[0], absolute[1], absolute[2], absolute[3], absolute[4], op.eps)]
        }
        Op::UpdateStatistics(op) => {
            let moved = batch_norm::update(op, &absolute, randomness.step);
            moved
                .iter()
                .zip(&absolute)
                .map(|(moved, running)| moved.zip(running, |moved, running| moved + 2.0 * running))
                .collect()
        }
        Op::SoftmaxCrossEntropy(_) => vec![results[0].map(|loss| loss + spread(inputs[0]) + 1.0)],
        Op::SoftmaxCrossEntropyGrad(_) => {
            let (n, dloss) = (inputs[0].shape[0] as f64, inputs[2].data[0].abs());
            vec![results[0].map(|dx| (spread(inputs[0]) + 2.0) * dx.abs() + dloss / n)]
        }
        Op::Sgd(op) => sgd_terms(op, &absolute),
        Op::Adam(op) => adam_terms(op, &absolute, results),
        Op::Bop(op) => vec![results[0].map(f64::abs), super::optimizer::bop(op, &absolute).remove(1)],
        Op::MovingAverage(_) => vec![absolute[0].zip(absolute[1], |average, x| average + x)],
        Op::Input(_)
        | Op::Scalar(_)
        | Op::State(_)
        | Op::Fill(_)
        | Op::Constant(_)
        | Op::NormalizeImage(_)
        | Op::Sign(_)
        | Op::Step(_)
        | Op::SurrogateGrad(_)
        | Op::QuantizeSlope(_)
        | Op::QuantizedSlopeGrad(_)
        | Op::BinarizeWeight(_)
        | Op::BinaryConv2d(_)
        | Op::TernarizeWeight(_)
        | Op::TernaryConv2d(_)
        | Op::TernaryAffine(_)
        | Op::Relu(_)
        | Op::Prelu(_)
        | Op::ApplyMask(_)
        | Op::IntervalMask(_)
        | Op::MaxPool2d(_)
        | Op::MaxPool2dIndex(_)
        | Op::Dropout(_)
        | Op::CountCorrect(_)
        | Op::Finite(_)
        | Op::GlobalNorm(_)
        | Op::Arithmetic(_)
        | Op::Unary(_)
        | Op::Clamp(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Transpose(_)
        | Op::Reshape(_)
        | Op::Slice(_)
        | Op::PadAxis(_)
        | Op::Concat(_)
        | Op::Repeat(_)
        | Op::BroadcastTo(_)
        | Op::OneHot(_)
        | Op::Gather(_)
        | Op::Scatter(_)
        | Op::StopGradient(_)
        | Op::Increment(_)
        | Op::Assign(_)
        | Op::Clear(_)
        | Op::FoldAffine(_)
        | Op::Affine(_)
        | Op::FoldStem(_)
        | Op::ImageConv2d(_)
        | Op::Quantize(_)
        | Op::RoundHalf(_)
        | Op::QuantizeWeight(_)
        | Op::Dequantize(_)
        | Op::Fused(_) => results.iter().map(|y| y.map(f64::abs)).collect(),
    }
}

/// `γ·(x + mean)/√(var + ε) + β` of absolute values.
fn normalized_terms(x: &Tensor, gamma: &Tensor, beta: &Tensor, mean: &Tensor, var: &Tensor, eps: f64) -> Tensor {
    batch_norm::normalize(x, gamma, beta, &mean.map(|m| -m), var, eps)
}

/// The variance is a mean of squares of differences, each of which is as wrong as its two operands.
fn batch_norm_terms(eps: f64, inputs: &[Tensor], results: &[Tensor]) -> Vec<Tensor> {
    let absolute: Vec<Tensor> = inputs.iter().map(|x| x.map(f64::abs)).collect();
    let (mean, var) = (&results[1], &results[2]);
    let var_terms = batch_norm::channel_mean(&inputs[0], |x, c| {
        let difference = (x - mean.data[c]).abs();
        difference * (difference + 2.0 * (x.abs() + mean.data[c].abs()))
    });
    let mean_terms = batch_norm::channel_mean(&absolute[0], |x, _| x);
    vec![normalized_terms(&absolute[0], &absolute[1], &absolute[2], &mean_terms, var, eps), mean_terms, var_terms]
}

/// The formulas of the gradient with every difference made a sum but `x − mean`, which is the first thing computed, from exact operands.
fn batch_norm_grad_terms(op: &BatchNormGrad, inputs: &[Tensor]) -> Vec<Tensor> {
    let [x, gamma, mean, var, dy] = inputs else { panic!("batch_norm_grad takes 5 inputs") };
    let rows = x.shape.rows() as f64;
    let ones = gamma.map(|_| 1.0);
    let x_hat = batch_norm::normalize(x, &ones, &ones.map(|_| 0.0), mean, var, op.eps).map(f64::abs);
    let dy = dy.map(f64::abs);
    let mean_dy = batch_norm::channel_mean(&dy, |dy, _| dy);
    let mean_dy_x_hat = batch_norm::channel_mean(&dy.zip(&x_hat, |dy, x_hat| dy * x_hat), |product, _| product);
    let dx = Tensor::from_fn(&x.shape, |p| {
        let c = p[p.len() - 1];
        let factor = gamma.data[c].abs() / (var.data[c] + op.eps).sqrt();
        factor * (dy.at(p) + mean_dy.data[c] + x_hat.at(p) * mean_dy_x_hat.data[c])
    });
    vec![dx, mean_dy_x_hat.map(|m| m * rows), mean_dy.map(|m| m * rows)]
}

/// The widest range of the logits of a sample and the logarithm of their number: what a logarithm of a softmax is at most made of.
fn spread(logits: &Tensor) -> f64 {
    let widest =
        logits.data.chunks(logits.shape[1]).map(|l| l.iter().fold(0.0, |m: f64, l| m.max(l.abs()))).fold(0.0, f64::max);
    2.0 * widest + (logits.shape[1] as f64).ln()
}

/// The update with a negative rate and no clamp, so that every difference is a sum.
fn sgd_terms(op: &Sgd, absolute: &[&Tensor]) -> Vec<Tensor> {
    let rate = absolute[2].map(|lr| -lr);
    let mut inputs = absolute.to_vec();
    inputs[2] = &rate;
    super::optimizer::sgd(&Sgd { clamp: None, ..op.clone() }, &inputs)
}

/// As for SGD; where weight decay cancels the gradient, the root of the second moment passes the relative error of that on.
fn adam_terms(op: &Adam, absolute: &[&Tensor], results: &[Tensor]) -> Vec<Tensor> {
    let rate = absolute[2].map(|lr| -lr);
    let mut inputs = absolute.to_vec();
    inputs[2] = &rate;
    let mut terms = super::optimizer::adam(&Adam { clamp: None, ..op.clone() }, &inputs);
    let root = terms.len() - 1;
    let cancelled = terms[root].zip(&results[root], |terms, v| if v == 0.0 { 1.0 } else { terms / v });
    terms[0] = terms[0].zip(&cancelled, |w, cancelled| w * cancelled);
    terms
}
