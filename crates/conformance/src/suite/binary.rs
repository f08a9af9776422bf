//! Signs, steps, binary weights and binary convolutions.

use binary_nets_bits::Codes;
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight, MaxPool2dGrad, MaxPool2dIndex,
    QuantizeSlope, QuantizedSlopeGrad, Sign, Step, StochasticRounding, Surrogate, SurrogateGrad, SurrogateSlope,
    WeightGradient, WeightScale,
};
use binary_nets_graph::{Op, Window};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

pub fn cases() -> Vec<Case> {
    [codes(), weights(), convolutions()].concat()
}

/// The op that makes codes of an activation.
pub fn coding(codes: Codes, groups: usize) -> Op {
    match codes {
        Codes::Sign => Sign { gradient: Surrogate::Clip, groups }.into(),
        Codes::Step => Step { gradient: Surrogate::Clip, groups }.into(),
    }
}

fn codes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (c, groups) in CHANNELS.iter().map(|&c| (c, 1)).chain([(7, 7), (126, 2), (130, 2), (192, 3)]) {
        for codes in [Codes::Sign, Codes::Step] {
            for sample in [vec![c], vec![3, 5, c]] {
                let mut b = Builder::new(format!("{codes:?}/g{groups}/{sample:?}"));
                let x = b.input(&sample, Fill::Turning);
                let bits = b.op(coding(codes, groups), &[x]);
                cases.push(b.outputs(&[bits]));
            }
        }
    }
    for c in CHANNELS {
        for gradient in
            [SurrogateSlope::Approx, SurrogateSlope::Swish { beta: 5.0 }, SurrogateSlope::Swish { beta: 0.75 }]
        {
            let mut b = Builder::new(format!("surrogate_grad/{gradient:?}/c{c}"));
            let x = b.input(&[3, c], Fill::Turning);
            // Where exponentials overflow, where they vanish, and what f32 holds at both ends.
            b.overwrite(x, [17.0, -21.0, 145.0, -3e38, 1e-40].into_iter().enumerate());
            let dy = b.state(&[2, 3, c], Fill::Uniform(1.0));
            let dx = b.op(SurrogateGrad { gradient }, &[x, dy]);
            cases.push(b.outputs(&[dx]));

            let mut b = Builder::new(format!("quantized_slope_grad/{gradient:?}/c{c}"));
            let x = b.input(&[3, c], Fill::Turning);
            b.overwrite(x, [17.0, -21.0, 1e-40, f32::NAN].into_iter().enumerate());
            let dy = b.state(&[2, 3, c], Fill::Uniform(1.0));
            let slope = b.op(QuantizeSlope { gradient }, &[x]);
            let dx = b.op(QuantizedSlopeGrad { gradient }, &[slope, dy]);
            cases.push(b.outputs(&[slope, dx]));
        }
    }
    cases
}

fn weights() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        for scale in [WeightScale::None, WeightScale::Tensor, WeightScale::Group, WeightScale::Channel] {
            for (o, kernel, groups) in [(1, [1, 1], 1), (6, [3, 3], 2), (10, [1, 5], 5)] {
                let mut b = Builder::new(format!("binarize_weight/{scale:?}/o{o}c{c}/{kernel:?}/g{groups}"));
                let w = b.state(&[o, c, kernel[0], kernel[1]], Fill::Turning);
                let outputs = b.ops(BinarizeWeight { scale, gradient: WeightGradient::Identity, groups }, &[w]);
                cases.push(b.outputs(&outputs));
            }
        }
    }
    cases
}

/// Windows with their names: padded, strided, a single tap, uneven with dilation.
pub fn windows() -> [(&'static str, Window); 4] {
    [
        ("3x3p1", Window::square(3, 1, 1)),
        ("3x3s2p1", Window::square(3, 2, 1)),
        ("1x1", Window::square(1, 1, 0)),
        ("3x2s2x1p2x1d2x3", Window { kernel: [3, 2], stride: [2, 1], padding: [2, 1], dilation: [2, 3] }),
    ]
}

/// Windows that are enough once: larger than the image, and of which one tap, or nine, ever lie on it.
fn odd_windows() -> [(&'static str, Window); 3] {
    [
        ("7x7p3", Window::square(7, 1, 3)),
        ("3x3p6d6", Window { dilation: [6; 2], ..Window::square(3, 1, 6) }),
        ("5x5p6d3", Window { dilation: [3; 2], ..Window::square(5, 1, 6) }),
    ]
}

/// Windows of pools that lie side by side.
fn pools() -> [(&'static str, Window); 2] {
    [
        ("2x2", Window::square(2, 2, 0)),
        ("1x3", Window { kernel: [1, 3], stride: [1, 3], padding: [0; 2], dilation: [1; 2] }),
    ]
}

/// The image of all convolutions.
pub const IMAGE: [usize; 2] = [5, 6];

fn convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    let channels = CHANNELS.iter().map(|&c| (c, 5, 1)).chain([(14, 4, 2), (130, 6, 2), (3, 3, 3)]);
    for (c, o, groups) in channels {
        let odd = if c == 7 { &odd_windows()[..] } else { &[] };
        for (window_name, window) in windows().iter().chain(odd).copied() {
            for codes in [Codes::Sign, Codes::Step] {
                for pad_value in [0, 1] {
                    let name = format!("c{c}o{o}g{groups}/{window_name}/{codes:?}/pad{pad_value}");
                    cases.push(forward(&name, [c, o, groups], window, codes, pad_value));
                    cases.push(grad_weight(&name, [c, o, groups], window, codes, pad_value));
                }
            }
            for (pool_name, pool) in pools() {
                let fits = window.output(IMAGE).and_then(|input| pool.output(input)).is_ok();
                if fits {
                    let name = format!("c{c}o{o}g{groups}/{window_name}/{pool_name}");
                    cases.extend(unpooled(&name, [c, o, groups], window, pool));
                }
            }
            cases.push(grad_input(&format!("c{c}o{o}g{groups}/{window_name}"), [c, o, groups], window));
        }
    }
    cases
}

/// Gradients in f32, and of whole numbers.
pub(super) const ROUNDINGS: [Option<StochasticRounding>; 2] = [None, Some(StochasticRounding { stream: 5 })];

/// Gradients behind a max pool: every kind of α, codes and padding.
fn unpooled(name: &str, [c, o, groups]: [usize; 3], window: Window, pool: Window) -> Vec<Case> {
    let input = window.output(IMAGE).expect("windows that fit");
    let [h, w] = pool.output(input).expect("windows that fit");
    let unpool = Some(MaxPool2dGrad { window: pool, input });
    let start = |kind: &str| {
        let mut b = Builder::new(format!("binary_conv2d_grad_{kind}/unpool/{name}"));
        let y = b.input(&[input[0], input[1], o], Fill::Uniform(1.0));
        let index = b.ops(MaxPool2dIndex { window: pool }, &[y])[1];
        let dy = b.input(&[h, w, o], Fill::Uniform(1.0));
        (b, index, dy)
    };
    let (mut b, index, dy) = start("input");
    let latent = b.state(&[o, c / groups, window.kernel[0], window.kernel[1]], Fill::Turning);
    let bits =
        b.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups }, &[latent])[0];
    let mut outputs = Vec::new();
    for scales in [1, groups, o] {
        let alpha = b.state(&[scales], Fill::Positive);
        for rounding in ROUNDINGS {
            let op = BinaryConv2dGradInput { window, groups, input: IMAGE, rounding, unpool: unpool.clone() };
            outputs.push(b.op(op, &[dy, bits, alpha, index]));
        }
    }
    let mut cases = vec![b.at_step(3, &outputs)];

    let (mut b, index, dy) = start("weight");
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let mut outputs = Vec::new();
    for codes in [Codes::Sign, Codes::Step] {
        let x = b.op(coding(codes, groups), &[x]);
        for (pad_value, rounding) in [(0, ROUNDINGS[0]), (0, ROUNDINGS[1]), (1, ROUNDINGS[0]), (1, ROUNDINGS[1])] {
            let op = BinaryConv2dGradWeight { window, pad_value, rounding, unpool: unpool.clone() };
            outputs.push(b.op(op, &[x, dy, index]));
        }
    }
    cases.push(b.at_step(3, &outputs));
    cases
}

/// The integers, and every kind of α.
fn forward(name: &str, [c, o, groups]: [usize; 3], window: Window, codes: Codes, pad_value: u8) -> Case {
    let mut b = Builder::new(format!("binary_conv2d/{name}"));
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let x = b.op(coding(codes, groups), &[x]);
    let w = b.frozen_bits(&[o, window.kernel[0], window.kernel[1], c / groups]);
    let conv = BinaryConv2d { window, pad_value };
    let mut outputs = vec![b.op(conv.clone(), &[x, w])];
    for scales in [1, groups, o] {
        let alpha = b.state(&[scales], Fill::Positive);
        outputs.push(b.op(conv.clone(), &[x, w, alpha]));
    }
    b.outputs(&outputs)
}

fn grad_input(name: &str, [c, o, groups]: [usize; 3], window: Window) -> Case {
    let mut b = Builder::new(format!("binary_conv2d_grad_input/{name}"));
    let [h, w] = window.output(IMAGE).expect("windows that fit");
    let dy = b.input(&[h, w, o], Fill::Uniform(1.0));
    let latent = b.state(&[o, c / groups, window.kernel[0], window.kernel[1]], Fill::Turning);
    let bits =
        b.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups }, &[latent])[0];
    let mut outputs = Vec::new();
    for scales in [1, groups, o] {
        let alpha = b.state(&[scales], Fill::Positive);
        for rounding in ROUNDINGS {
            outputs.push(b.op(
                BinaryConv2dGradInput { window, groups, input: IMAGE, rounding, unpool: None },
                &[dy, bits, alpha],
            ));
        }
    }
    b.at_step(3, &outputs)
}

fn grad_weight(name: &str, [c, o, groups]: [usize; 3], window: Window, codes: Codes, pad_value: u8) -> Case {
    let mut b = Builder::new(format!("binary_conv2d_grad_weight/{name}"));
    let [height, width] = window.output(IMAGE).expect("windows that fit");
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let x = b.op(coding(codes, groups), &[x]);
    let dy = b.input(&[height, width, o], Fill::Uniform(1.0));
    let outputs =
        ROUNDINGS.map(|rounding| b.op(BinaryConv2dGradWeight { window, pad_value, rounding, unpool: None }, &[x, dy]));
    b.at_step(3, &outputs)
}
