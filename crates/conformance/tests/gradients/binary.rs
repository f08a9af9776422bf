//! Binary weights and convolutions: what they would be if they were float.

use binary_nets_conformance::Tensor;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    Arithmetic, BinarizeWeight, BinaryConv2d, Conv2d, Reduce, Reduction, Sign, Step, Surrogate, WeightGradient,
    WeightScale,
};

use crate::net::{Net, assert_close};

const SCALES: [WeightScale; 4] = [WeightScale::None, WeightScale::Tensor, WeightScale::Group, WeightScale::Channel];

/// `α·sign(w)` with w `[o, c, kh, kw]`, its α over the whole, over groups of outputs, over each output.
fn quantized(w: &Tensor, scale: WeightScale, groups: usize) -> Tensor {
    let outputs = w.shape[0];
    let per_output = w.data.len() / outputs;
    let share = match scale {
        WeightScale::None => None,
        WeightScale::Tensor => Some(outputs * per_output),
        WeightScale::Group => Some(outputs / groups * per_output),
        WeightScale::Channel => Some(per_output),
    };
    let alpha =
        |i: usize| share.map_or(1.0, |n| w.data[i / n * n..][..n].iter().map(|w| w.abs()).sum::<f64>() / n as f64);
    let data = w.data.iter().enumerate().map(|(i, &w)| if w < 0.0 { -alpha(i) } else { alpha(i) }).collect();
    Tensor::new(w.shape.clone(), data)
}

/// A binary convolution is linear in its codes and in q. With `p` around the image it is the zero-padded one of `x − p`, plus `p·Σ q`; that one is
/// float and has central differences. With identity surrogates the binary graph must yield the same dx and, at w, the same dq — without α.
#[test]
fn binary_conv2d_is_the_float_one_of_its_codes() {
    let windows = [
        Window::square(3, 1, 1),
        Window::square(1, 2, 0),
        Window { kernel: [3, 2], stride: [2, 1], padding: [2, 1], dilation: [1, 2] },
    ];
    for (c, o, groups) in [(3, 2, 1), (4, 6, 2), (3, 3, 3)] {
        for window in windows {
            for scale in SCALES {
                for (sign, pad_value) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
                    let what = format!("{c} {o} {groups} {window:?} {scale:?} sign {sign} pad {pad_value}");
                    let mut net = Net::new();
                    let x = net.state("x", &[2, 4, 3, c]);
                    let w = net.state("w", &[o, c / groups, window.kernel[0], window.kernel[1]]);
                    let gradient = Surrogate::Identity;
                    let codes = if sign {
                        net.op(Sign { gradient, groups }, &[x])
                    } else {
                        net.op(Step { gradient, groups }, &[x])
                    };
                    let q = net.ops(BinarizeWeight { scale, gradient: WeightGradient::Identity, groups }, &[w]);
                    let y = net.op(BinaryConv2d { window, pad_value }, &[codes, q[0], q[1]]);
                    net.loss(y);

                    let mut float = Net::new();
                    let below = if sign { -1.0 } else { 0.0 };
                    let code = |x: f64| if x < 0.0 { below } else { 1.0 };
                    let fx = float.state_of("x", &[2, 4, 3, c], net.given["x"].map(code).data);
                    let quantized = quantized(&net.given["w"], scale, groups);
                    let fw = float.state_of("w", &quantized.shape, quantized.data);
                    let p = float.state_of("p", &[], vec![f64::from(pad_value)]);
                    let shifted = float.op(Arithmetic::SUB, &[fx, p]);
                    let fy = float.op(Conv2d { window, groups }, &[shifted, fw]);
                    let total = float.op(Reduce { reduction: Reduction::Sum, axes: vec![1, 2, 3], keep: false }, &[fw]);
                    let outside = float.op(Arithmetic::MUL, &[p, total]);
                    let fy = float.op(Arithmetic::ADD, &[fy, outside]);
                    float.loss(fy);
                    float.given.insert("r".to_owned(), net.given["r"].clone());

                    let gradients = net.gradients(&["x", "w"]).unwrap();
                    assert_close(&format!("dx {what}"), &gradients["x"], &float.differences("x"));
                    assert_close(&format!("dq {what}"), &gradients["w"], &float.differences("w"));
                }
            }
        }
    }
}

/// A net whose gradient at the codes, or at q, is r: a 1×1 convolution of one channel with the number 1.
fn through_codes(points: &[f64], step: bool, gradient: Surrogate) -> (Tensor, Vec<f64>) {
    let mut net = Net::new();
    let x = net.state_of("x", &[points.len(), 1, 1, 1], points.to_vec());
    let codes =
        if step { net.op(Step { gradient, groups: 1 }, &[x]) } else { net.op(Sign { gradient, groups: 1 }, &[x]) };
    let w = net.state_of("w", &[1, 1, 1, 1], vec![1.0]);
    let q = net.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups: 1 }, &[w]);
    let y = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, q[0], q[1]]);
    let r = net.loss(y);
    (net.gradients(&["x"]).unwrap()["x"].clone(), r.data)
}

/// Both sides of both ends, both zeros, and between.
const POINTS: [f64; 13] =
    [-2.0, -1.0 - 1e-6, -1.0, -1.0 + 1e-6, -0.25, -0.0, 0.0, 0.25, 0.5, 1.0 - 1e-6, 1.0, 1.0 + 1e-6, 3.0];

#[test]
fn surrogates_point_by_point() {
    for step in [false, true] {
        for (i, x) in POINTS.into_iter().enumerate() {
            let inside = if (-1.0..=1.0).contains(&x) { 1.0 } else { 0.0 };
            let polynomial = if x < 0.0 { 2.0 + 2.0 * x } else { 2.0 - 2.0 * x };
            for (gradient, slope) in
                [(Surrogate::Identity, 1.0), (Surrogate::Clip, inside), (Surrogate::Approx, inside * polynomial)]
            {
                let (dx, r) = through_codes(&POINTS, step, gradient);
                assert_eq!(dx.data[i], r[i] * slope, "{gradient:?} at {x}, step {step}");
            }
        }
    }
}

/// dw is dq, or dq where |w| ≤ 1; whatever the scale, α is no part of it.
#[test]
fn weight_gradients_point_by_point() {
    for scale in SCALES {
        for gradient in [WeightGradient::Identity, WeightGradient::Clip] {
            let mut net = Net::new();
            let x = net.state_of("x", &[1, 1, 1, 1], vec![1.0]);
            let codes = net.op(Sign { gradient: Surrogate::Identity, groups: 1 }, &[x]);
            let w = net.state_of("w", &[POINTS.len(), 1, 1, 1], POINTS.to_vec());
            let q = net.ops(BinarizeWeight { scale, gradient, groups: 1 }, &[w]);
            let y = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, q[0], q[1]]);
            let r = net.loss(y);
            let dw = &net.gradients(&["w"]).unwrap()["w"];
            for (i, w) in POINTS.into_iter().enumerate() {
                let slope = match gradient {
                    WeightGradient::Identity => 1.0,
                    WeightGradient::Clip => f64::from(u8::from(w.abs() <= 1.0)),
                };
                assert_eq!(dw.data[i], r.data[i] * slope, "{scale:?} {gradient:?} at {w}");
            }
        }
    }
}
