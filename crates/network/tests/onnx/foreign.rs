//! Models of others say what ONNX says they say, on images many of whose pixels become exactly 0.

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::import;
use binary_nets_network::{Floats, FrozenNetwork, Network};

use crate::builder::Attribute::{Int, Ints};
use crate::builder::Onnx;
use crate::graphs::{
    TERNARY, THRESHOLDS, channels_last, float_network, sign_behind_relu, sign_of_sign, signs, ternary, threshold, waves,
};
use crate::oracle::{Map, sign};

/// The pixel that becomes 0.
const ZERO: u8 = 51;

/// An image `[8, 8, 3]`: a third of its pixels is the zero, the others are on both sides of it.
fn pixels(channels: usize) -> Vec<u8> {
    (0..64 * channels).map(|i| if i % 3 == 1 { ZERO } else { (i * i * 31 % 101) as u8 }).collect()
}

/// What the model is given for the image: whole numbers, from −51 on.
fn image() -> Map {
    let pixels = pixels(3);
    Map::from_fn([3, 8, 8], |c, row, column| f64::from(pixels[(row * 8 + column) * 3 + c]) - f64::from(ZERO))
}

/// The shape and the numbers of the one output for that image.
fn run(file: &[u8], channels: usize, normalize: Option<Normalize>) -> (Vec<usize>, Vec<f32>) {
    let cpu = Cpu::new(Some(1), Isa::available()[0]).unwrap();
    let imported = import(file, normalize).unwrap();
    let mut network = Network::new(cpu.clone(), imported.spec, 0).unwrap();
    for state in &imported.states {
        network.set_state(&state.path, &state.data).unwrap();
    }
    let model = network.freeze(Floats::F32, imported.metadata).unwrap();
    let mut outputs = FrozenNetwork::new(cpu, model).unwrap().predict(&pixels(channels), 1, &[]).unwrap();
    let output = outputs.remove(0);
    (output.shape, output.data)
}

/// Numbers that an exact product of small integers and powers of two gives are compared exactly, others within `tolerance` of the largest.
#[track_caller]
fn compare(what: &str, onnx: Onnx, expected: &[f64], tolerance: f64) {
    let normalize = Normalize { mean: vec![f64::from(ZERO) / 255.0; 3], std: vec![1.0 / 255.0; 3] };
    let (_, got) = run(&onnx.file(&["y"]), 3, Some(normalize));
    let most = tolerance * expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let differs = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() > most;
    let wrong = got.iter().zip(expected).position(differs);
    assert!(got.len() == expected.len() && wrong.is_none(), "{what}: {got:?}, not {expected:?}, at {wrong:?}");
}

#[test]
fn codes_are_those_of_onnx_at_0_too() {
    let x = image();
    assert!(x.data.iter().filter(|x| **x == 0.0).count() > 60, "too few zeroes");
    let codes = x.map(|x| sign(sign(x) + 0.1));
    let w: Vec<f32> = signs(108, 1.0);
    compare("sign of sign", sign_of_sign(), &codes.conv(&w, 4, 1, [1; 4], 0.0).channels_last(), 0.0);

    let codes = x.map(|x| sign(x.max(0.0)));
    let expected = codes.conv(&signs(108, 0.5), 4, 1, [1; 4], 0.0);
    compare("sign behind relu", sign_behind_relu(), &expected.channels_last(), 0.0);

    for (relation, yes, no) in THRESHOLDS {
        let holds = |x: f64| match relation {
            "Less" => x < 0.0,
            "LessOrEqual" => x <= 0.0,
            "Greater" => x > 0.0,
            _ => x >= 0.0,
        };
        let codes = x.map(|x| f64::from(if holds(x) { yes } else { no }));
        let expected = codes.conv(&signs(12, 1.0), 4, 1, [0; 4], 0.0);
        compare(relation, threshold(relation, yes, no), &expected.channels_last(), 0.0);
    }

    let codes = x.map(|x| f64::from(u8::from(x > 0.0)));
    compare("ternary", ternary(), &codes.conv(&TERNARY, 4, 1, [0; 4], 0.0).channels_last(), 0.0);
}

#[test]
fn convolutions_are_those_of_onnx() {
    let x = image();
    // SAME_UPPER: five pixels for each two of three, one more below and on the right.
    let sums = x.conv(&waves(216), 8, 2, [0, 0, 1, 1], 0.0).map(|x| x + 0.5);
    let expected = sums.map(sign).conv(&signs(576, 1.0), 8, 1, [1; 4], 1.0);
    compare("channels last", channels_last(), &expected.channels_last(), 0.0);

    let mut sums = x.conv(&waves(108), 4, 1, [1; 4], 0.0);
    for (i, sum) in sums.data.iter_mut().enumerate() {
        *sum = (*sum + (i / 64 + 1) as f64).max(0.0);
    }
    let (means, fc) = (sums.halved().means(), waves(20));
    let logits: Vec<f64> = (0..5).map(|n| (0..4).map(|k| means[k] * f64::from(fc[k * 5 + n])).sum()).collect();
    // The stem's weights are integers of 16 bits, so each is off by up to 2^-16 of the channel's largest.
    compare("float network", float_network(), &logits, 1e-4);
}

/// What makes `v` of x, and the same of one number.
type Function = (&'static str, fn(&mut Onnx), fn(f64) -> f64);

#[test]
fn the_sign_of_what_has_one_side_only_is_0_at_0() {
    let functions: [Function; 9] = [
        ("sum", |o| o.node("Add", &["r", "a"], "v", &[]), |x| x.max(0.0) + x.abs()),
        ("scale", |o| o.node("Mul", &["r", "three"], "v", &[]), |x| x.max(0.0) * 3.0),
        ("square", |o| o.node("Mul", &["x", "x"], "v", &[]), |x| x * x),
        ("negative", |o| o.node("Neg", &["r"], "v", &[]), |x| -x.max(0.0)),
        ("root", |o| o.node("Sqrt", &["a"], "v", &[]), |x| x.abs().sqrt()),
        ("clip", |o| o.node("Clip", &["x", "zero", "three"], "v", &[]), |x| x.clamp(0.0, 3.0)),
        ("minimum", |o| o.node("Min", &["x", "zero"], "v", &[]), |x| x.min(0.0)),
        (
            "clip at −3",
            |o| {
                o.node("Clip", &["x", "minus", "three"], "c", &[]);
                o.node("Add", &["c", "three"], "v", &[]);
            },
            |x| x.clamp(-3.0, 3.0) + 3.0,
        ),
        ("power", |o| o.node("Exp", &["m"], "v", &[]), |x| x.min(0.0).exp()),
    ];
    for (what, before, function) in functions {
        let mut onnx = Onnx::new();
        onnx.floats("zero", &[], &[0.0]);
        onnx.floats("three", &[], &[3.0]);
        onnx.floats("minus", &[], &[-3.0]);
        onnx.floats("w", &[4, 3, 3, 3], &signs(108, 0.5));
        onnx.node("Relu", &["x"], "r", &[]);
        onnx.node("Abs", &["x"], "a", &[]);
        onnx.node("Min", &["x", "zero"], "m", &[]);
        before(&mut onnx);
        onnx.node("Sign", &["v"], "codes", &[]);
        onnx.node("Conv", &["codes", "w"], "y", &[("pads", Ints(&[1, 1, 1, 1]))]);
        let codes = image().map(|x| sign(function(x)));
        compare(what, onnx, &codes.conv(&signs(108, 0.5), 4, 1, [1; 4], 0.0).channels_last(), 0.0);
    }
}

#[test]
fn an_output_without_a_name_leaves_the_others_in_their_places() {
    let mut onnx = Onnx::new();
    onnx.integers("parts", &[1, 1, 1]);
    onnx.node("Relu", &["x"], "r", &[]);
    onnx.node_of("Split", &["r", "parts"], &["", "y", ""], &[("axis", Int(1))]);
    let x = image();
    let second = Map::from_fn([1, 8, 8], |_, row, column| x.at(1, row, column).max(0.0));
    compare("split", onnx, &second.channels_last(), 0.0);
}

#[test]
fn constants_stretch_what_they_meet() {
    let means = image().means();
    let everywhere = |f: &dyn Fn(f64) -> f64| Map::from_fn([3, 4, 4], |c, _, _| f(means[c]));
    for (what, expected) in [
        ("product", everywhere(&|x| if x > 0.0 { 2.0 } else { 0.0 })),
        ("relation", everywhere(&|x| if x > 2.0 { 1.0 } else { 0.0 })),
        ("choice", everywhere(&|x| if x > 0.0 { 2.0 } else { 5.0 })),
        ("sign", everywhere(&|x| sign(x + 0.25) + 2.0)),
    ] {
        let mut onnx = Onnx::new();
        onnx.floats("zero", &[], &[0.0]);
        onnx.floats("zeroes", &[1, 1, 4, 4], &[0.0; 16]);
        onnx.floats("twos", &[1, 1, 4, 4], &[2.0; 16]);
        onnx.floats("fives", &[1, 1, 4, 4], &[5.0; 16]);
        onnx.node("GlobalAveragePool", &["x"], "g", &[]);
        onnx.node("Greater", &["g", "zero"], "mask", &[]);
        match what {
            "product" => {
                onnx.node("Cast", &["mask"], "codes", &[("to", Int(1))]);
                onnx.node("Mul", &["codes", "twos"], "y", &[]);
            }
            "relation" => {
                onnx.node("Sub", &["g", "twos"], "d", &[]);
                onnx.node("Greater", &["d", "zeroes"], "wide", &[]);
                onnx.node("Cast", &["wide"], "y", &[("to", Int(1))]);
            }
            "choice" => {
                onnx.node("Greater", &["g", "zeroes"], "wide", &[]);
                onnx.node("Where", &["wide", "twos", "fives"], "y", &[]);
            }
            _ => {
                onnx.floats("quarter", &[], &[0.25]);
                onnx.node("Add", &["g", "quarter"], "h", &[]);
                onnx.node("Sign", &["h"], "s", &[]);
                onnx.node("Add", &["s", "twos"], "y", &[]);
            }
        }
        compare(what, onnx, &expected.channels_last(), 0.0);
    }
}

#[test]
fn constants_of_more_channels_than_pixels_stretch_them() {
    let mut onnx = Onnx::taking(2, &[0, 1, 8, 8]);
    onnx.floats("four", &[1, 4, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
    onnx.node("Cast", &["x"], "f", &[("to", Int(1))]);
    onnx.node("Sub", &["f", "four"], "y", &[]);
    let (shape, got) = run(&onnx.file(&["y"]), 1, None);
    let expected: Vec<f32> =
        pixels(1).iter().flat_map(|&x| [1.0, 2.0, 3.0, 4.0].map(|number| f32::from(x) - number)).collect();
    assert_eq!((shape, got), (vec![1, 8, 8, 4], expected));
}

#[test]
fn constants_are_computed_as_onnx_does() {
    let mut onnx = Onnx::new();
    onnx.floats("a", &[3], &[3.0, 1.0, 2.0]);
    onnx.floats("b", &[], &[2.5]);
    onnx.floats("c", &[3], &[9.0, 9.0, 0.5]);
    onnx.floats("d", &[1], &[1.0]);
    onnx.node("Min", &["a", "b", "c"], "least", &[]);
    onnx.node("Max", &["least", "d", "d"], "most", &[]);
    onnx.floats("tenth", &[], &[0.1]);
    onnx.node("Cast", &["tenth"], "half", &[("to", Int(10))]);
    // Of [1, 1, 3], [1, 3].
    onnx.integers("extents", &[1, 1, 3]);
    onnx.node("Reshape", &["most", "extents"], "deep", &[]);
    onnx.node("Flatten", &["deep"], "row", &[("axis", Int(-1))]);
    onnx.node("GlobalAveragePool", &["x"], "g", &[]);
    onnx.node("Flatten", &["g"], "f", &[("axis", Int(-3))]);
    onnx.node("Add", &["f", "row"], "s", &[]);
    onnx.node("Add", &["s", "half"], "y", &[]);
    let numbers = [2.5, 1.0, 1.0];
    let expected: Vec<f64> = image().means().iter().zip(numbers).map(|(x, n)| x + n + 0.099_975_585_937_5).collect();
    // Three sums of f32.
    compare("constants", onnx, &expected, 3.0 * f64::from(f32::EPSILON));
}
