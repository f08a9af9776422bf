//! Ternary weights, as the numbers 0 and 1 of two planes.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{
    NegativeGradient, TernarizeWeight, TernarizeWeightGrad, TernaryConv2d, TernaryConv2dGradInput,
};

use super::binary::rounded;
use super::{Randomness, conv2d as float, round};
use crate::Tensor;

/// Where w `[o, c, kh, kw]` is above Δ and where below −Δ, as `[o, kh, kw, c]`.
pub fn ternarize_weight(op: &TernarizeWeight, w: &Tensor, plane: &Shape) -> Vec<Tensor> {
    let nan = w.data.iter().any(|w| w.is_nan());
    let largest = if nan { f64::NAN } else { w.data.iter().fold(0.0, |max: f64, w| max.max(w.abs())) };
    let delta = round(round(op.threshold) * largest);
    let bits = |is_set: &dyn Fn(f64) -> bool| {
        Tensor::from_fn_rank(plane, |[o, kh, kw, c]| f64::from(u8::from(is_set(w.at(&[o, c, kh, kw])))))
    };
    vec![bits(&|w| w > delta), bits(&|w| w < -delta)]
}

/// dw, `dw_p` and `dw_n`.
pub fn ternarize_weight_grad(op: &TernarizeWeightGrad, inputs: &[&Tensor]) -> Vec<Tensor> {
    let &[positive, negative, w_p, w_n, dq] = inputs else { panic!("ternarize_weight_grad takes 5 inputs") };
    let (positive, negative) = (latent(positive), latent(negative));
    let factor = positive.zip(&negative, |p, n| p * w_p.data[0] + n * w_n.data[0] + (1.0 - p - n));
    let sum = |plane: &Tensor| plane.zip(dq, |bit, dq| bit * dq).data.iter().sum::<f64>();
    let sign = match op.negative_gradient {
        NegativeGradient::Exact => -1.0,
        NegativeGradient::Published => 1.0,
    };
    vec![
        factor.zip(dq, |factor, dq| factor * dq),
        Tensor::new([1], vec![sum(&positive)]),
        Tensor::new([1], vec![sign * sum(&negative)]),
    ]
}

/// A plane `[o, kh, kw, c]` in the order of latent weights, `[o, c, kh, kw]`.
fn latent(plane: &Tensor) -> Tensor {
    let &[o, kh, kw, c] = &plane.shape[..] else { panic!("a plane of rank 4") };
    Tensor::from_fn_rank(&[o, c, kh, kw].into(), |[o, c, kh, kw]| plane.at(&[o, kh, kw, c]))
}

/// Integers `d_p` and `d_n` or, where there are `w_p` and `w_n`, `fl(fl(w_p·fl(d_p)) − fl(w_n·fl(d_n)))`.
pub fn conv2d(op: &TernaryConv2d, inputs: &[&Tensor], shape: &Shape) -> Vec<Tensor> {
    let sums = |plane: &Tensor| float::forward(&op.window, inputs[0], &latent(plane), f64::from(op.pad_value), shape);
    let (positive, negative) = (sums(inputs[1]), sums(inputs[2]));
    let &[w_p, w_n] = &inputs[3..] else { return vec![positive, negative] };
    let scaled = |d: f64, w: &Tensor| round(w.data[0] * round(d));
    vec![positive.zip(&negative, |d_p, d_n| round(scaled(d_p, w_p) - scaled(d_n, w_n)))]
}

/// dx through `q = w_p·positive − w_n·negative`.
pub fn grad_input(op: &TernaryConv2dGradInput, inputs: &[&Tensor], shape: &Shape, randomness: Randomness) -> Tensor {
    let &[dy, positive, negative, w_p, w_n] = inputs else { panic!("ternary_conv2d_grad_input takes 5 inputs") };
    let Some(rounding) = op.rounding else {
        let q = latent(positive).zip(&latent(negative), |p, n| p * w_p.data[0] - n * w_n.data[0]);
        return float::grad_input(&op.window, dy, &q, shape);
    };
    let through = |plane: &Tensor, value: f64| {
        let dy = rounded(rounding, &dy.map(|dy| round(value * dy)), randomness);
        float::grad_input(&op.window, &dy, &latent(plane), shape)
    };
    through(positive, w_p.data[0]).zip(&through(negative, -w_n.data[0]), |p, n| p + n)
}
