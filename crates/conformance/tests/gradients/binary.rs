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
