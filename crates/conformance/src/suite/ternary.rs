//! Ternary weights and convolutions.

use binary_nets_bits::Codes;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    NegativeGradient, TernarizeWeight, TernarizeWeightGrad, TernaryAffine, TernaryConv2d, TernaryConv2dGradInput,
};

use super::Case;
use super::binary::{IMAGE, ROUNDINGS, coding, windows};
use super::builder::{Builder, CHANNELS, Fill};

pub fn cases() -> Vec<Case> {
    [weights(), convolutions()].concat()
}

fn ternarize(threshold: f64) -> TernarizeWeight {
    TernarizeWeight { threshold, negative_gradient: NegativeGradient::Exact }
}

/// Coarse weights lie on ±Δ, for their largest magnitude is 1.
fn weights() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        for (o, kernel) in [(1, [1, 1]), (6, [3, 3]), (10, [1, 5])] {
            let name = format!("o{o}c{c}/{kernel:?}");
            let shape = [o, c, kernel[0], kernel[1]];
            for (threshold, fill) in [(0.05, Fill::Uniform(1.0)), (0.5, Fill::Coarse), (0.0, Fill::Turning)] {
                let mut b = Builder::new(format!("ternarize_weight/{threshold}/{name}"));
                let w = b.state(&shape, fill);
                let values = [(); 2].map(|()| b.state(&[1], Fill::Positive));
                let outputs = b.ops(ternarize(threshold), &[w, values[0], values[1]]);
                cases.push(b.outputs(&outputs));
            }
            for negative_gradient in [NegativeGradient::Exact, NegativeGradient::Published] {
                let mut b = Builder::new(format!("ternarize_weight_grad/{negative_gradient:?}/{name}"));
                let w = b.state(&shape, Fill::Uniform(1.0));
                let values = [(); 2].map(|()| b.state(&[1], Fill::Positive));
                let planes = b.ops(ternarize(0.25), &[w, values[0], values[1]]);
                let dq = b.state(&shape, Fill::Uniform(1.0));
                let inputs = [planes[0], planes[1], values[0], values[1], dq];
                let outputs = b.ops(TernarizeWeightGrad { negative_gradient }, &inputs);
                cases.push(b.outputs(&outputs));
            }
        }
    }
    // More weights than one piece of work: the largest in the last, or one that is no number in the first.
    for (name, index, number) in [("large", 64 * 64 * 9 - 1, -8.0), ("nan", 0, f32::NAN), ("-nan", 0, -f32::NAN)] {
        let mut b = Builder::new(format!("ternarize_weight/{name}"));
        let w = b.state(&[64, 64, 3, 3], Fill::Uniform(1.0));
        b.overwrite(w, [(index, number)]);
        let values = [(); 2].map(|()| b.state(&[1], Fill::Positive));
        let outputs = b.ops(ternarize(0.1), &[w, values[0], values[1]]);
        cases.push(b.outputs(&outputs));
    }
    cases
}

/// Fewer channels than of the binary convolution, which computes the sums.
fn convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (c, o, groups) in [(1, 5, 1), (64, 3, 1), (65, 2, 1), (14, 4, 2), (3, 3, 3)] {
        for (window_name, window) in windows() {
            for codes in [Codes::Sign, Codes::Step] {
                for pad_value in [0, 1] {
                    let name = format!("c{c}o{o}g{groups}/{window_name}/{codes:?}/pad{pad_value}");
                    cases.push(forward(&name, [c, o, groups], window, codes, pad_value));
                }
            }
            cases.push(grad_input(&format!("c{c}o{o}g{groups}/{window_name}"), [c, o, groups], window));
        }
    }
    cases
}

/// The integers and their affine, and the floats; with planes that stand there and with ones that are computed.
fn forward(name: &str, [c, o, groups]: [usize; 3], window: Window, codes: Codes, pad_value: u8) -> Case {
    let mut b = Builder::new(format!("ternary_conv2d/{name}"));
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let x = b.op(coding(codes, groups), &[x]);
    let [kh, kw] = window.kernel;
    let conv = TernaryConv2d { window, pad_value };
    let planes = [(); 2].map(|()| b.frozen_plane(&[o, kh, kw, c / groups]));
    let mut outputs = b.ops(conv.clone(), &[x, planes[0], planes[1]]);

    let constants = [(); 3].map(|()| b.state(&[o], Fill::Uniform(4.0)));
    let inputs = [&outputs[..], &constants[..]].concat();
    outputs.push(b.op(TernaryAffine {}, &inputs));

    let latent = b.state(&[o, c / groups, kh, kw], Fill::Uniform(1.0));
    let values = [(); 2].map(|()| b.state(&[1], Fill::Positive));
    let computed = b.ops(ternarize(0.3), &[latent, values[0], values[1]]);
    for planes in [planes, [computed[0], computed[1]]] {
        outputs.push(b.op(conv.clone(), &[x, planes[0], planes[1], values[0], values[1]]));
    }
    b.outputs(&outputs)
}

/// Through planes that stand there, and through ones that are computed.
fn grad_input(name: &str, [c, o, groups]: [usize; 3], window: Window) -> Case {
    let mut b = Builder::new(format!("ternary_conv2d_grad_input/{name}"));
    let [h, w] = window.output(IMAGE).expect("windows that fit");
    let dy = b.input(&[h, w, o], Fill::Uniform(1.0));
    let [kh, kw] = window.kernel;
    let planes = [(); 2].map(|()| b.frozen_plane(&[o, kh, kw, c / groups]));
    let latent = b.state(&[o, c / groups, kh, kw], Fill::Uniform(1.0));
    let values = [(); 2].map(|()| b.state(&[1], Fill::Positive));
    let computed = b.ops(ternarize(0.3), &[latent, values[0], values[1]]);
    let mut outputs = Vec::new();
    for planes in [planes, [computed[0], computed[1]]] {
        let inputs = [dy, planes[0], planes[1], values[0], values[1]];
        for rounding in ROUNDINGS {
            outputs.push(b.op(TernaryConv2dGradInput { window, groups, input: IMAGE, rounding }, &inputs));
        }
    }
    b.at_step(3, &outputs)
}
