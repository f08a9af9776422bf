//! Ternary weights and convolutions: what they would be if they were float.

use binary_nets_conformance::Tensor;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    Arithmetic, Conv2d, NegativeGradient, Reduce, Reduction, Sign, Step, Surrogate, TernarizeWeight, TernaryConv2d,
};

use crate::net::{Net, assert_close};

const THRESHOLD: f64 = 0.25;

/// 1 where w is above the threshold, −1 where it is below its negative, else 0.
fn sides(w: &Tensor) -> Tensor {
    let delta = THRESHOLD * w.data.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
    w.map(|w| {
        if w > delta {
            1.0
        } else if w < -delta {
            -1.0
        } else {
            0.0
        }
    })
}

/// A ternary convolution is linear in its codes and in q; that is float, and has central differences: with identity surrogates the ternary graph must
/// yield the same dx, and the gradients of `w_p`, `w_n` and the latent weights that follow from dq.
#[test]
fn ternary_conv2d_is_the_float_one_of_its_codes() {
    let windows = [
        Window::square(3, 1, 1),
        Window::square(1, 2, 0),
        Window { kernel: [3, 2], stride: [2, 1], padding: [2, 1], dilation: [1, 2] },
    ];
    for (c, o, groups) in [(3, 2, 1), (4, 6, 2), (3, 3, 3)] {
        for window in windows {
            for (sign, pad_value) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
                let what = format!("{c} {o} {groups} {window:?} sign {sign} pad {pad_value}");
                let build = |negative_gradient| {
                    let mut net = Net::new();
                    let x = net.state("x", &[2, 4, 3, c]);
                    let w = net.state("w", &[o, c / groups, window.kernel[0], window.kernel[1]]);
                    let values = [("p", 0.75), ("n", 1.5)].map(|(path, value)| net.state_of(path, &[1], vec![value]));
                    let gradient = Surrogate::Identity;
                    let codes = if sign {
                        net.op(Sign { gradient, groups }, &[x])
                    } else {
                        net.op(Step { gradient, groups }, &[x])
                    };
                    let ternarize = TernarizeWeight { threshold: THRESHOLD, negative_gradient };
                    let planes = net.ops(ternarize, &[w, values[0], values[1]]);
                    let inputs = [codes, planes[0], planes[1], values[0], values[1]];
                    let y = net.op(TernaryConv2d { window, pad_value }, &inputs);
                    net.loss(y);
                    net
                };
                let net = build(NegativeGradient::Exact);

                let mut float = Net::new();
                let below = if sign { -1.0 } else { 0.0 };
                let code = |x: f64| if x < 0.0 { below } else { 1.0 };
                let fx = float.state_of("x", &[2, 4, 3, c], net.given["x"].map(code).data);
                let sides = sides(&net.given["w"]);
                let mut plane = |path: &str, side: f64| {
                    let data = sides.map(|s| f64::from(u8::from(s == side))).data;
                    float.state_of(path, &sides.shape, data)
                };
                let planes = [plane("positive", 1.0), plane("negative", -1.0)];
                let values = ["p", "n"].map(|path| float.state_of(path, &[1], net.given[path].data.clone()));
                // q = 0 + w_p·positive − w_n·negative; the gradient of that 0 is dq.
                let q = float.state_of("q", &sides.shape, vec![0.0; sides.data.len()]);
                let [above, under] = [0, 1].map(|side| float.op(Arithmetic::MUL, &[planes[side], values[side]]));
                let q = float.op(Arithmetic::ADD, &[q, above]);
                let q = float.op(Arithmetic::SUB, &[q, under]);
                // With a number around the image it is the zero-padded convolution of x less that number, plus its product with Σ q.
                let outside = float.state_of("outside", &[], vec![f64::from(pad_value)]);
                let shifted = float.op(Arithmetic::SUB, &[fx, outside]);
                let y = float.op(Conv2d { window, groups }, &[shifted, q]);
                let total = float.op(Reduce { reduction: Reduction::Sum, axes: vec![1, 2, 3], keep: false }, &[q]);
                let total = float.op(Arithmetic::MUL, &[outside, total]);
                let y = float.op(Arithmetic::ADD, &[y, total]);
                float.loss(y);
                float.given.insert("r".to_owned(), net.given["r"].clone());

                let gradients = net.gradients(&["x", "w", "p", "n"]).unwrap();
                for path in ["x", "p", "n"] {
                    assert_close(&format!("d{path} {what}"), &gradients[path], &float.differences(path));
                }
                let factor = sides.map(|side| {
                    if side > 0.0 {
                        0.75
                    } else if side < 0.0 {
                        1.5
                    } else {
                        1.0
                    }
                });
                let dw = float.differences("q").zip(&factor, |dq, factor| dq * factor);
                assert_close(&format!("dw {what}"), &gradients["w"], &dw);

                let published = build(NegativeGradient::Published).gradients(&["x", "w", "p", "n"]).unwrap();
                for path in ["x", "w", "p"] {
                    assert_eq!(published[path], gradients[path], "d{path} {what}");
                }
                assert_eq!(published["n"], gradients["n"].map(|dn| -dn), "dn {what}");
            }
        }
    }
}

/// A weight on ±Δ is 0, and so is −0.
#[test]
fn ternary_gradients_point_by_point() {
    let points = [-4.0, -1.0 - 1e-6, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.0 + 1e-6, 3.0];
    for negative_gradient in [NegativeGradient::Exact, NegativeGradient::Published] {
        let mut net = Net::new();
        let x = net.state_of("x", &[1, 1, 1, 1], vec![1.0]);
        let codes = net.op(Sign { gradient: Surrogate::Identity, groups: 1 }, &[x]);
        // Of the largest, 4, a quarter.
        let w = net.state_of("w", &[points.len(), 1, 1, 1], points.to_vec());
        let values = [("p", 2.0), ("n", 3.0)].map(|(path, value)| net.state_of(path, &[1], vec![value]));
        let ternarize = TernarizeWeight { threshold: THRESHOLD, negative_gradient };
        let planes = net.ops(ternarize, &[w, values[0], values[1]]);
        let conv = TernaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 };
        let y = net.op(conv, &[codes, planes[0], planes[1], values[0], values[1]]);
        let r = net.loss(y);
        let gradients = net.gradients(&["w", "p", "n"]).unwrap();
        for (i, (slope, &r)) in [3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0].into_iter().zip(&r.data).enumerate()
        {
            assert_eq!(gradients["w"].data[i], r * slope, "at {}", points[i]);
        }
        let sign = if negative_gradient == NegativeGradient::Exact { -1.0 } else { 1.0 };
        assert_eq!(gradients["p"].data, [r.data[8] + r.data[9]]);
        assert_eq!(gradients["n"].data, [sign * (r.data[0] + r.data[1])]);
    }
}
