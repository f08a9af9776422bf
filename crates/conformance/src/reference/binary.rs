//! Bits, as the code values that they stand for.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight, MaxPool2dGrad, StochasticRounding,
    SurrogateSlope, WeightScale,
};

use super::{Randomness, conv2d as float, pool2d, round};
use crate::Tensor;

/// Whether a mask's bit is 1; masks are Step codes.
pub fn is_set(step_code: f64) -> bool {
    step_code == 1.0
}

pub fn sign(x: f64) -> f64 {
    if x < 0.0 { -1.0 } else { 1.0 }
}

pub fn step(x: f64) -> f64 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// The factor of the gradient at x.
pub fn surrogate(gradient: SurrogateSlope, x: f64) -> f64 {
    match gradient {
        SurrogateSlope::Approx if x.abs() <= 1.0 => 2.0 - 2.0 * x.abs(),
        SurrogateSlope::Approx => 0.0,
        SurrogateSlope::Swish { beta } => {
            let (beta, bx) = (f64::from(beta), f64::from(beta) * x);
            beta * (2.0 - bx * (bx / 2.0).tanh()) / (1.0 + bx.cosh())
        }
    }
}

/// The slope in 8 bits.
pub fn quantized_slope(gradient: SurrogateSlope, x: f64) -> f64 {
    let (unit, zero) = gradient.unit_and_zero();
    let slope = if x.is_nan() { 0.0 } else { surrogate(gradient, x) };
    (f64::from(zero) + round(slope / f64::from(unit))).round_ties_even()
}

/// Bits `[o, kh, kw, c]` and α of w `[o, c, kh, kw]`.
pub fn binarize_weight(op: &BinarizeWeight, w: &Tensor, bits: &Shape) -> Vec<Tensor> {
    let bits = Tensor::from_fn_rank(bits, |[o, kh, kw, c]| sign(w.at(&[o, c, kh, kw])));
    let parts = match op.scale {
        WeightScale::None => return vec![bits, Tensor::new([1], vec![1.0])],
        WeightScale::Tensor => 1,
        WeightScale::Group => op.groups,
        WeightScale::Channel => w.shape[0],
    };
    let size = w.data.len() / parts;
    let alpha = w.data.chunks(size).map(|part| part.iter().map(|w| w.abs()).sum::<f64>() / size as f64).collect();
    vec![bits, Tensor::new([parts], alpha)]
}

/// The α of output channel `o` of `channels`, where each α stands for as many consecutive channels.
pub fn scale_of(alpha: &Tensor, o: usize, channels: usize) -> f64 {
    alpha.data[o * alpha.data.len() / channels]
}

/// `α·sign(w)` of bits `[o, kh, kw, c]`, as `[o, c, kh, kw]`.
fn scaled(bits: &Tensor, alpha: &Tensor) -> Tensor {
    let &[o, kh, kw, c] = &bits.shape[..] else { panic!("weight bits of rank 4") };
    Tensor::from_fn_rank(&[o, c, kh, kw].into(), |[i, c, kh, kw]| scale_of(alpha, i, o) * bits.at(&[i, kh, kw, c]))
}

/// Integers d, or `fl(α·fl(d))` where there is an α.
pub fn conv2d(op: &BinaryConv2d, inputs: &[&Tensor], shape: &Shape) -> Tensor {
    let one = Tensor::new([1], vec![1.0]);
    let d = float::forward(&op.window, inputs[0], &scaled(inputs[1], &one), f64::from(op.pad_value), shape);
    match inputs.get(2) {
        None => d,
        Some(alpha) => Tensor::from_fn(shape, |p| round(scale_of(alpha, p[3], shape[3]) * round(d.at(p)))),
    }
}

pub fn grad_input(op: &BinaryConv2dGradInput, inputs: &[&Tensor], shape: &Shape, randomness: Randomness) -> Tensor {
    let &[dy, bits, alpha, ref index @ ..] = inputs else { panic!("dy, weights and α") };
    let Some(rounding) = op.rounding else {
        let dy = unpooled(op.unpool.as_ref(), dy.clone(), index);
        return float::grad_input(&op.window, &dy, &scaled(bits, alpha), shape);
    };
    let outputs = dy.shape[3];
    let scaled_dy = Tensor::from_fn(&dy.shape, |p| round(scale_of(alpha, p[3], outputs) * dy.at(p)));
    let dy = unpooled(op.unpool.as_ref(), rounded(rounding, &scaled_dy, randomness), index);
    let one = Tensor::new([1], vec![1.0]);
    float::grad_input(&op.window, &dy, &scaled(bits, &one), shape)
}

pub fn grad_weight(op: &BinaryConv2dGradWeight, inputs: &[&Tensor], shape: &Shape, randomness: Randomness) -> Tensor {
    let &[x, dy, ref index @ ..] = inputs else { panic!("codes and dy") };
    let dy = op.rounding.map_or_else(|| dy.clone(), |rounding| rounded(rounding, dy, randomness));
    float::grad_weight(&op.window, x, &unpooled(op.unpool.as_ref(), dy, index), f64::from(op.pad_value), shape)
}

/// The gradient of what the pool behind a convolution reads.
fn unpooled(unpool: Option<&MaxPool2dGrad>, dy: Tensor, index: &[&Tensor]) -> Tensor {
    let Some(pool) = unpool else { return dy };
    let [height, width] = pool.input;
    pool2d::max_grad(&pool.window, index[0], &dy, &[dy.shape[0], height, width, dy.shape[3]].into())
}

/// The whole numbers that a tensor is rounded to, times what one stands for.
pub fn rounded(rounding: StochasticRounding, g: &Tensor, Randomness { seed, step }: Randomness) -> Tensor {
    let most = g.data.iter().fold(0.0f64, |most, g| most.max(g.abs()));
    let rounding = rounding.of(most as f32, seed, step);
    let numbers =
        g.data.iter().zip(0..).map(|(&g, i)| f64::from(rounding.unit) * f64::from(rounding.round(g as f32, i)));
    Tensor::new(g.shape.clone(), numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a byte says is the slope, up to half a step; that at 0 is the largest, and far away there is none.
    #[test]
    fn slopes_of_8_bits_are_the_slopes() {
        for gradient in
            [SurrogateSlope::Approx].into_iter().chain([0.3, 1.0, 5.0, 40.0].map(|beta| SurrogateSlope::Swish { beta }))
        {
            let (unit, zero) = gradient.unit_and_zero();
            for i in -40_000..=40_000 {
                let x = f64::from(i) / 1000.0;
                let byte = quantized_slope(gradient, x);
                let slope = (byte - f64::from(zero)) * f64::from(unit);
                assert!((0.0..=255.0).contains(&byte), "{gradient:?} at {x}: {byte}");
                let off = (slope - surrogate(gradient, x)).abs() / f64::from(unit);
                assert!(off <= 0.500_01, "{gradient:?} at {x}: {off} steps");
            }
            assert_eq!(quantized_slope(gradient, 0.0), 255.0);
            assert_eq!(quantized_slope(gradient, 1000.0), f64::from(zero));
            let largest = f64::from(255 - zero) * f64::from(unit);
            assert!(largest > 0.0 && unit > 0.0 && f64::from(unit) < largest / 200.0, "steps are fine");
        }
    }
}
