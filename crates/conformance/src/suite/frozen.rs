//! What frozen networks are made of.

use binary_nets_graph::ops::{
    Affine, BinaryConv2d, Border, Dequantize, FoldAffine, FoldStem, FoldStep, ImageConv2d, Quantize, QuantizeWeight,
    RoundHalf, Sign, Surrogate,
};
use binary_nets_graph::{Value, Window};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

pub fn cases() -> Vec<Case> {
    [affines(), folds(), stems(), quantized(), rounded_weights()].concat()
}

fn affines() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        let mut b = Builder::new(format!("affine/f32/c{c}"));
        let x = b.input(&[3, 2, c], Fill::Uniform(64.0));
        let (a, offset) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
        let y = b.op(Affine { border: None }, &[x, a, offset]);
        cases.push(b.outputs(&[y]));

        let mut b = Builder::new(format!("affine/integers/c{c}"));
        let window = Window::square(3, 1, 1);
        let x = b.input(&[3, 4, 9], Fill::Turning);
        let x = b.op(Sign { gradient: Surrogate::Identity, groups: 1 }, &[x]);
        let w = b.frozen_bits(&[c, 3, 3, 9]);
        let d = b.op(BinaryConv2d { window, pad_value: 0 }, &[x, w]);
        let (a, offset) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Uniform(16.0)));
        let y = b.op(Affine { border: None }, &[d, a, offset]);
        cases.push(b.outputs(&[y]));
    }
    cases
}

/// γ, β, mean and variance; some γ and means are 0.
fn norm(b: &mut Builder, channels: usize) -> Vec<Value> {
    let (gamma, beta) = (b.state(&[channels], Fill::Turning), b.state(&[channels], Fill::Uniform(1.0)));
    vec![gamma, beta, b.state(&[channels], Fill::Turning), b.state(&[channels], Fill::Positive)]
}

/// The constants of a run of steps.
fn constants(b: &mut Builder, steps: &[FoldStep], channels: usize) -> Vec<Value> {
    let each = |step: &FoldStep| match step {
        FoldStep::Scale => vec![b.state(&[channels], Fill::Turning)],
        FoldStep::Norm { .. } => norm(b, channels),
    };
    steps.iter().flat_map(each).collect()
}

/// Runs of scales and norms in all orders.
const RUNS: [&[FoldStep]; 7] = {
    use FoldStep::{Norm, Scale};
    [
        &[],
        &[Scale],
        &[Norm { eps: 1e-5 }],
        &[Scale, Norm { eps: 1e-5 }],
        &[Norm { eps: 0.5 }, Scale],
        &[Scale, Scale, Norm { eps: 1e-5 }, Scale],
        &[Norm { eps: 1e-5 }, Scale, Norm { eps: 0.5 }],
    ]
};

fn folds() -> Vec<Case> {
    let mut cases = Vec::new();
    for (channels, scales) in [(1, vec![1]), (6, vec![1, 2, 6]), (65, vec![1, 5, 65])] {
        for (i, steps) in RUNS.into_iter().enumerate() {
            let mut b = Builder::new(format!("fold_affine/run{i}/c{channels}"));
            let inputs = constants(&mut b, steps, channels);
            let outputs = b.ops(FoldAffine { channels, steps: steps.to_vec() }, &inputs);
            cases.push(b.outputs(&outputs));
        }
        // One number for all, and one for each of a few groups.
        let mut b = Builder::new(format!("fold_affine/shared/c{channels}"));
        let mut outputs = Vec::new();
        for shape in [vec![]].into_iter().chain(scales.into_iter().map(|n| vec![n])) {
            let scale = b.state(&shape, Fill::Positive);
            outputs.extend(b.ops(FoldAffine { channels, steps: vec![FoldStep::Scale] }, &[scale]));
        }
        cases.push(b.outputs(&outputs));
    }
    cases
}

fn stems() -> Vec<Case> {
    let windows = [
        ("3x3p1", Window::square(3, 1, 1)),
        ("7x7s2p3", Window::square(7, 2, 3)),
        ("1x1", Window::square(1, 1, 0)),
        ("3x2s2x1p2x1d2x3", Window { kernel: [3, 2], stride: [2, 1], padding: [2, 1], dilation: [2, 3] }),
    ];
    let mut cases = Vec::new();
    for (mean, std) in [(vec![0.1307], vec![0.3081]), (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225])] {
        for (window_name, window) in windows {
            for o in [1, 7, 65] {
                let c = mean.len();
                let [kh, kw] = window.kernel;
                let border = Border { window, input: [9, 8] };
                let name = format!("c{c}o{o}/{window_name}");

                for (i, steps) in RUNS.into_iter().enumerate() {
                    let mut b = Builder::new(format!("fold_stem/{name}/run{i}"));
                    let w = b.state(&[o, c, kh, kw], Fill::Uniform(1.0));
                    // A channel of zeroes has no scale.
                    let taps = c * kh * kw;
                    b.overwrite(w, (o / 2 * taps..(o / 2 + 1) * taps).map(|i| (i, 0.0)));
                    let inputs = [vec![w], constants(&mut b, steps, o)].concat();
                    let (mean, std) = (mean.clone(), std.clone());
                    let fold = FoldStem { border, mean, std, largest: [127, 32767][i % 2], steps: steps.to_vec() };
                    let outputs = b.ops(fold, &inputs);
                    cases.push(b.outputs(&outputs));
                }

                let mut b = Builder::new(format!("image_conv2d/{name}"));
                let image = b.image(&[border.input[0], border.input[1], c]);
                let q = b.frozen_stem(&[o, kh, kw, c], 32767);
                let d = b.op(ImageConv2d { border }, &[image, q]);
                let [rows, columns] = border.cases().expect("a window that fits");
                let (a, offset) =
                    (b.state(&[o], Fill::Uniform(1.0 / 65536.0)), b.state(&[rows, columns, o], Fill::Uniform(64.0)));
                let y = b.op(Affine { border: Some(border) }, &[d, a, offset]);
                cases.push(b.outputs(&[d, y]));
            }
        }
    }
    cases
}

/// Maps as bytes, and their convolutions with weights of 8 bits.
fn quantized() -> Vec<Case> {
    let windows = [
        ("1x1", Window::square(1, 1, 0), [1, 1]),
        ("1x1s2", Window::square(1, 1, 0), [2, 2]),
        ("1x1s3x2", Window::square(1, 1, 0), [3, 2]),
        ("3x3p1", Window::square(3, 1, 1), [1, 1]),
    ];
    let mut cases = Vec::new();
    for (window_name, window, stride) in windows {
        for (c, o) in [(1, 1), (3, 7), (65, 64), (130, 33)] {
            for (factor, zero) in [(40.0, 0), (0.7, 128), (1.0, 255)] {
                let mut b = Builder::new(format!("quantize/{window_name}/c{c}o{o}/zero{zero}"));
                let x = b.input(&[7, 6, c], Fill::Turning);
                let y = b.op(Quantize { factor, zero, stride }, &[x]);
                let border = Border { window, input: [7usize.div_ceil(stride[0]), 6usize.div_ceil(stride[1])] };
                let [kh, kw] = window.kernel;
                let q = b.frozen_stem(&[o, kh, kw, c], 127);
                let d = b.op(ImageConv2d { border }, &[y, q]);
                let [rows, columns] = border.cases().expect("a window that fits");
                let (a, offset) =
                    (b.state(&[o], Fill::Uniform(1.0 / 4096.0)), b.state(&[rows, columns, o], Fill::Uniform(64.0)));
                let affine = b.op(Affine { border: Some(border) }, &[d, a, offset]);
                cases.push(b.outputs(&[y, d, affine]));
            }
        }
    }
    // A zero that is one byte, and a deviation for all channels.
    for (i, steps) in RUNS.into_iter().enumerate() {
        let mut b = Builder::new(format!("fold_stem/quantized/run{i}"));
        let border = Border { window: Window::square(3, 1, 1), input: [5, 4] };
        let w = b.state(&[5, 9, 3, 3], Fill::Uniform(1.0));
        let inputs = [vec![w], constants(&mut b, steps, 5)].concat();
        let (mean, std) = (vec![128.0 / 255.0], vec![40.0 / 255.0]);
        let outputs = b.ops(FoldStem { border, mean, std, largest: 127, steps: steps.to_vec() }, &inputs);
        cases.push(b.outputs(&outputs));
    }
    cases
}

fn rounded_weights() -> Vec<Case> {
    let mut cases = Vec::new();
    // Subnormal, ordinary and too large 16-bit floats; ties and what is just beside them.
    let edges = [65504.0, 65519.996, 65520.0, -1e9, 2048.5, 2049.0, 2051.0, 1.0 + 1.0 / 2048.0, 1.0 + 3.0 / 2048.0];
    let mut b = Builder::new("round_half");
    let w = b.state(&[3, 41], Fill::Uniform(4.0));
    let tiny = (-10..8).map(|i| i as f32 / 2f32.powi(25));
    b.overwrite(w, edges.into_iter().chain(tiny).chain([2f32.powi(-14), f32::MIN_POSITIVE]).enumerate());
    let y = b.op(RoundHalf {}, &[w]);
    cases.push(b.outputs(&[y]));

    for (name, shape, axis) in
        [("linear", &[5, 33][..], 0), ("transposed", &[33, 5], 1), ("conv", &[7, 3, 3, 2], 0), ("one", &[1], 0)]
    {
        for fill in [Fill::Uniform(0.25), Fill::Coarse, Fill::Turning] {
            let mut b = Builder::new(format!("quantize_weight/{name}/{fill:?}"));
            let w = b.state(shape, fill);
            let outputs = b.ops(QuantizeWeight { axis }, &[w]);
            let y = b.op(Dequantize { axis }, &outputs);
            cases.push(b.outputs(&[outputs[0], outputs[1], y]));
        }
    }
    // An output of zeroes, one whose scale is subnormal, and one whose scale is 0 though its weights are not.
    let mut b = Builder::new("quantize_weight/small");
    let w = b.state(&[4, 6], Fill::Uniform(1.0));
    let least = f32::from_bits(1);
    b.overwrite(w, (0..6).map(|i| (i, 0.0)).chain((6..12).map(|i| (i, i as f32 * 40.0 * least))));
    b.overwrite(w, (12..18).map(|i| (i, least)));
    let outputs = b.ops(QuantizeWeight { axis: 0 }, &[w]);
    let y = b.op(Dequantize { axis: 0 }, &outputs);
    cases.push(b.outputs(&[outputs[0], outputs[1], y]));
    cases
}
