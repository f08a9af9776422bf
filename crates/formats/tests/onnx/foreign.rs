//! Binary networks as other libraries write them.

use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::{Imported, import};
use binary_nets_graph::Op;

use crate::builder::Attribute::{Int, Ints};
use crate::builder::Onnx;
use crate::graphs::{
    THRESHOLDS, channels_last, float_network, sign_behind_relu, sign_of_sign, signs, ternary, threshold, waves,
};

fn normalize() -> Normalize {
    Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }
}

fn read(onnx: Onnx) -> Imported {
    import(&onnx.file(&["y"]), Some(normalize())).unwrap()
}

/// The ops, states left out, in order.
fn ops(imported: &Imported) -> Vec<&'static str> {
    let all = imported.spec.nodes.iter().map(|node| node.op.name());
    all.filter(|name| *name != "state").collect()
}

fn state<'i>(imported: &'i Imported, path: &str) -> &'i [f32] {
    &imported.states.iter().find(|state| state.path == path).unwrap_or_else(|| panic!("no state {path}")).data
}

#[test]
fn a_sign_of_a_sign_and_a_bit_is_a_code() {
    let imported = read(sign_of_sign());
    assert_eq!(ops(&imported), ["input", "normalize_image", "sign", "binarize_weight", "binary_conv2d"]);
    assert_eq!(state(&imported, "y.weight"), signs(108, 1.0));
}

#[test]
fn a_sign_behind_a_relu_is_zero_or_one() {
    let imported = read(sign_behind_relu());
    assert_eq!(ops(&imported), ["input", "normalize_image", "relu", "step", "binarize_weight", "binary_conv2d"]);
    assert_eq!(state(&imported, "y.alpha"), [0.5]);
}

#[test]
fn thresholds_are_codes_whichever_way_they_are_put() {
    // −1 at 0 too is the negative of the sign of −x; below 0 is above 0 of −x.
    let made = [&["sign"][..], &["sign"], &["step"], &["step"], &["unary", "sign"], &["unary", "step"]];
    for ((relation, yes, no), made) in THRESHOLDS.into_iter().zip(made) {
        let imported = read(threshold(relation, yes, no));
        let expected = [&["input", "normalize_image"], made, &["binarize_weight", "binary_conv2d"]].concat();
        assert_eq!(ops(&imported), expected, "{relation} {yes} {no}");
    }
}

#[test]
fn channels_last_graphs_lose_their_transposes() {
    let imported = read(channels_last());
    assert_eq!(
        ops(&imported),
        ["input", "normalize_image", "conv2d", "batch_norm_inference", "sign", "binarize_weight", "binary_conv2d"]
    );
    // Three taps over two pixels more behind than before are four taps with as many on both sides.
    let convs: Vec<_> = imported
        .spec
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Conv2d(conv) => Some((conv.window.kernel, conv.window.padding)),
            Op::BinaryConv2d(conv) => {
                assert_eq!(conv.pad_value, 1);
                Some((conv.window.kernel, conv.window.padding))
            }
            _ => None,
        })
        .collect();
    assert_eq!(convs, [([4, 4], [1, 1]), ([3, 3], [1, 1])]);
    assert_eq!(imported.spec.graph(5, &[]).unwrap().outputs()[0].0, "y");
}

#[test]
fn a_float_network_is_read() {
    let imported = read(float_network());
    assert_eq!(
        ops(&imported),
        [
            "input",
            "normalize_image",
            "conv2d",
            "batch_norm_inference",
            "relu",
            "max_pool2d",
            "reduce",
            "reshape",
            "matmul"
        ]
    );
    assert_eq!(state(&imported, "c.bias"), [1.0, 2.0, 3.0, 4.0]);
    let weights = waves(20);
    let transposed: Vec<f32> = (0..20).map(|i| weights[i % 4 * 5 + i / 4]).collect();
    assert_eq!(state(&imported, "m.weight"), transposed);
    assert_eq!(imported.spec.outputs.keys().collect::<Vec<_>>(), ["logits"]);
    assert_eq!(imported.metadata.normalize, Some(normalize()));
}

#[test]
fn three_values_are_ternary_weights() {
    let imported = read(ternary());
    assert_eq!(ops(&imported), ["input", "normalize_image", "step", "ternarize_weight", "ternary_conv2d"]);
    assert_eq!([state(&imported, "y.positive_scale"), state(&imported, "y.negative_scale")], [[0.5], [0.25]]);
}

/// Makes `v`, before `Sign` and a convolution.
type Before = fn(&mut Onnx);

fn signs_of(before: Before) -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("zero", &[], &[0.0]);
    onnx.floats("one", &[], &[1.0]);
    onnx.floats("half", &[], &[0.5]);
    onnx.floats("w", &[4, 3, 1, 1], &signs(12, 1.0));
    onnx.floats("positive", &[4, 3, 1, 1], &[0.5; 12]);
    onnx.node("Relu", &["x"], "r", &[]);
    onnx.node("Abs", &["x"], "a", &[]);
    before(&mut onnx);
    onnx.node("Sign", &["v"], "codes", &[]);
    onnx.node("GlobalAveragePool", &["codes"], "y", &[]);
    onnx
}

#[test]
fn what_is_never_negative_is_seen_through_the_ops_behind_it() {
    let cases: [(&str, Before); 18] = [
        ("sum", |o| o.node("Add", &["r", "a"], "v", &[])),
        ("product", |o| o.node("Mul", &["r", "half"], "v", &[])),
        ("square", |o| o.node("Mul", &["x", "x"], "v", &[])),
        ("quotient", |o| o.node("Div", &["r", "half"], "v", &[])),
        ("maximum", |o| o.node("Max", &["x", "zero"], "v", &[])),
        ("concat", |o| o.node("Concat", &["r", "a"], "v", &[("axis", Int(1))])),
        ("slice", |o| o.node("Slice", &["r"], "v", &[("starts", Ints(&[0, 0])), ("ends", Ints(&[9, 2]))])),
        ("pad", |o| o.node("Pad", &["a"], "v", &[("pads", Ints(&[0, 0, 1, 1, 0, 0, 1, 1]))])),
        ("tile", |o| {
            o.integers("times", &[1, 2, 1, 1]);
            o.node("Tile", &["r", "times"], "v", &[]);
        }),
        ("choice", |o| {
            o.node("Greater", &["x", "one"], "mask", &[]);
            o.node("Where", &["mask", "a", "r"], "v", &[]);
        }),
        ("root", |o| o.node("Sqrt", &["r"], "v", &[])),
        ("power", |o| o.node("Exp", &["x"], "v", &[])),
        ("tanh", |o| o.node("Tanh", &["r"], "v", &[])),
        ("clip", |o| {
            o.floats("minus", &[], &[-1.0]);
            o.node("Clip", &["x", "minus", "one"], "c", &[]);
            o.node("Add", &["c", "one"], "v", &[]);
        }),
        ("mean", |o| o.node("AveragePool", &["r"], "v", &[("kernel_shape", Ints(&[2, 2]))])),
        ("maxima", |o| o.node("MaxPool", &["r"], "v", &[("kernel_shape", Ints(&[2, 2]))])),
        ("convolution", |o| o.node("Conv", &["r", "positive"], "v", &[])),
        ("norm", |o| {
            o.floats("gamma", &[3], &[0.5, 0.0, 2.0]);
            o.floats("beta", &[3], &[0.5, 0.0, 0.0]);
            o.floats("mean", &[3], &[-1.0, 7.0, 0.0]);
            o.floats("variance", &[3], &[1.0; 3]);
            o.node("BatchNormalization", &["r", "gamma", "beta", "mean", "variance"], "v", &[]);
        }),
    ];
    for (what, before) in cases {
        let imported = read(signs_of(before));
        // Codes that are read as floats: 1 above 0, and 0 for it.
        let numbers: Vec<f32> = fills(&imported);
        assert_eq!(numbers, [0.0, 0.0, 1.0], "{what}");
    }
    let imported = read(signs_of(|o| o.node("Neg", &["r"], "v", &[])));
    assert_eq!(fills(&imported), [0.0, -1.0, 0.0], "below 0");
    let imported = read(signs_of(|o| o.node("Sub", &["x", "half"], "v", &[])));
    assert_eq!(fills(&imported), [0.0, -1.0, 1.0], "of both signs");
}

/// The numbers of the last comparison: what with, what where it fails, what where it holds.
fn fills(imported: &Imported) -> Vec<f32> {
    let all: Vec<f32> = imported
        .spec
        .nodes
        .iter()
        .filter_map(|node| if let Op::Fill(fill) = &node.op { Some(fill.value) } else { None })
        .collect();
    all[all.len() - 3..].to_vec()
}

#[test]
fn signs_that_may_be_three_numbers_are_refused() {
    let cases: [(&str, Before); 8] = [
        ("difference", |o| o.node("Sub", &["r", "a"], "d", &[])),
        ("product", |o| o.node("Mul", &["x", "r"], "d", &[])),
        ("pad", |o| o.node("Pad", &["x"], "d", &[("pads", Ints(&[0, 0, 1, 1, 0, 0, 1, 1]))])),
        ("choice", |o| {
            o.node("Greater", &["x", "zero"], "mask", &[]);
            o.node("Where", &["mask", "x", "zero"], "c", &[]);
            o.node("Sub", &["c", "r"], "d", &[]);
        }),
        ("convolution", |o| o.node("Conv", &["r", "w"], "d", &[])),
        ("codes", |o| {
            o.node("Less", &["x", "zero"], "mask", &[]);
            o.floats("minus", &[], &[-1.0]);
            o.node("Where", &["mask", "minus", "one"], "c", &[]);
            o.node("Conv", &["c", "w"], "d", &[]);
        }),
        ("slope", |o| {
            o.floats("slope", &[3, 1, 1], &[-0.5, 0.0, 1.0]);
            o.node("PRelu", &["x", "slope"], "p", &[]);
            o.node("Sub", &["p", "r"], "d", &[]);
        }),
        ("norm", |o| {
            o.floats("gamma", &[3], &[0.5, -1.0, 2.0]);
            o.floats("zeroes", &[3], &[0.0; 3]);
            o.floats("variance", &[3], &[1.0; 3]);
            o.node("BatchNormalization", &["r", "gamma", "zeroes", "zeroes", "variance"], "d", &[]);
        }),
    ];
    for (what, before) in cases {
        let mut onnx = Onnx::new();
        onnx.floats("zero", &[], &[0.0]);
        onnx.floats("one", &[], &[1.0]);
        onnx.floats("bias", &[], &[0.3]);
        onnx.floats("w", &[4, 3, 1, 1], &signs(12, 1.0));
        onnx.node("Relu", &["x"], "r", &[]);
        onnx.node("Abs", &["x"], "a", &[]);
        before(&mut onnx);
        let mut shifted = onnx.clone();
        onnx.node("Sign", &["d"], "codes", &[]);
        onnx.node("GlobalAveragePool", &["codes"], "y", &[]);
        let refused = import(&onnx.file(&["y"]), Some(normalize())).unwrap_err().to_string();
        assert!(refused.contains("often exactly 0"), "{what}: {refused}");
        // One number more, and a 0 is chance.
        shifted.node("Add", &["d", "bias"], "e", &[]);
        shifted.node("Sign", &["e"], "codes", &[]);
        shifted.node("GlobalAveragePool", &["codes"], "y", &[]);
        read(shifted);
    }
}
