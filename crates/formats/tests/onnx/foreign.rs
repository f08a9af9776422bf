//! Binary networks as other libraries write them.

use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::{Imported, import};
use binary_nets_graph::Op;

use crate::builder::Attribute::{Int, Ints, Text};
use crate::builder::Onnx;

fn normalize() -> Option<Normalize> {
    Some(Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] })
}

fn read(onnx: Onnx, output: &str) -> Imported {
    import(&onnx.file(&[output]), normalize()).unwrap()
}

/// The ops, states left out, in order.
fn ops(imported: &Imported) -> Vec<&'static str> {
    let all = imported.spec.nodes.iter().map(|node| node.op.name());
    all.filter(|name| *name != "state").collect()
}

fn state<'i>(imported: &'i Imported, path: &str) -> &'i [f32] {
    &imported.states.iter().find(|state| state.path == path).unwrap_or_else(|| panic!("no state {path}")).data
}

/// Weights ±s that look random.
fn signs(n: usize, s: f32) -> Vec<f32> {
    (0..n).map(|i| if i * i % 7 < 3 { s } else { -s }).collect()
}

const PADS: (&str, crate::builder::Attribute) = ("pads", Ints(&[1, 1, 1, 1]));

#[test]
fn a_sign_of_a_sign_and_a_bit_is_a_code() {
    let mut onnx = Onnx::new();
    onnx.floats("bit", &[], &[0.1]);
    onnx.floats("w", &[4, 3, 3, 3], &signs(108, 0.3));
    onnx.node("Sign", &["x"], "s", &[]);
    onnx.node("Add", &["s", "bit"], "t", &[]);
    onnx.node("Sign", &["t"], "codes", &[]);
    // The weights go through the same nodes in the graph.
    onnx.node("Sign", &["w"], "ws", &[]);
    onnx.node("Conv", &["codes", "ws"], "y", &[PADS]);
    let imported = read(onnx, "y");
    assert_eq!(ops(&imported), ["input", "normalize_image", "sign", "binarize_weight", "binary_conv2d"]);
    assert_eq!(state(&imported, "y.weight"), signs(108, 1.0));
}

#[test]
fn a_sign_behind_a_relu_is_zero_or_one() {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[4, 3, 3, 3], &signs(108, 0.5));
    onnx.node("Relu", &["x"], "r", &[]);
    onnx.node("Sign", &["r"], "codes", &[]);
    onnx.node("Conv", &["codes", "w"], "y", &[PADS]);
    let imported = read(onnx, "y");
    assert_eq!(ops(&imported), ["input", "normalize_image", "relu", "step", "binarize_weight", "binary_conv2d"]);
    assert_eq!(state(&imported, "y.alpha"), [0.5]);
}

#[test]
fn thresholds_are_codes_whichever_way_they_are_put() {
    // Relation, the numbers where it holds and where not, and the ops that make such codes.
    for (relation, yes, no, made) in [
        ("Less", -1.0, 1.0, &["sign"][..]),
        ("GreaterOrEqual", 1.0, -1.0, &["sign"]),
        ("Greater", 1.0, 0.0, &["step"]),
        ("LessOrEqual", 0.0, 1.0, &["step"]),
        // −1 at 0 too, so it is the negative of the sign of −x; below 0 is above 0 of −x.
        ("Greater", 1.0, -1.0, &["unary", "sign"]),
        ("Less", 1.0, 0.0, &["unary", "step"]),
    ] {
        let mut onnx = Onnx::new();
        onnx.floats("zero", &[], &[0.0]);
        onnx.floats("yes", &[], &[yes]);
        onnx.floats("no", &[], &[no]);
        onnx.floats("w", &[4, 3, 1, 1], &signs(12, 1.0));
        onnx.node(relation, &["x", "zero"], "mask", &[]);
        onnx.node("Where", &["mask", "yes", "no"], "codes", &[]);
        onnx.node("Conv", &["codes", "w"], "y", &[]);
        let imported = read(onnx, "y");
        let expected = [&["input", "normalize_image"], made, &["binarize_weight", "binary_conv2d"]].concat();
        assert_eq!(ops(&imported), expected, "{relation} {yes} {no}");
    }
}

#[test]
fn channels_last_graphs_lose_their_transposes() {
    let mut onnx = Onnx::taking(1, &[0, 8, 8, 3]);
    onnx.floats("one", &[], &[1.0]);
    onnx.floats("stem", &[8, 3, 3, 3], &(0..216).map(|i| i as f32 * 0.01 - 1.0).collect::<Vec<_>>());
    onnx.floats("w", &[8, 8, 3, 3], &signs(576, 1.0));
    onnx.floats("bias", &[8], &[0.5; 8]);
    onnx.integers("pads", &[0, 1, 1, 0, 0, 1, 1, 0]);
    let (first, last) = (("perm", Ints(&[0, 3, 1, 2])), ("perm", Ints(&[0, 2, 3, 1])));
    onnx.node("Transpose", &["x"], "x1", &[first]);
    onnx.node("Conv", &["x1", "stem"], "c1", &[("auto_pad", Text("SAME_UPPER")), ("strides", Ints(&[2, 2]))]);
    onnx.node("Transpose", &["c1"], "y1", &[last]);
    onnx.node("Add", &["y1", "bias"], "b1", &[]);
    onnx.node("Sign", &["b1"], "codes", &[]);
    onnx.node("Pad", &["codes", "pads", "one"], "padded", &[]);
    onnx.node("Transpose", &["padded"], "x2", &[first]);
    onnx.node("Conv", &["x2", "w"], "c2", &[]);
    onnx.node("Transpose", &["c2"], "y2", &[last]);
    let imported = read(onnx, "y2");
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
    assert_eq!(imported.spec.graph(5, &[]).unwrap().outputs()[0].0, "y2");
}

#[test]
fn a_float_network_is_read() {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[4, 3, 3, 3], &(0..108).map(|i| (i as f32).sin()).collect::<Vec<_>>());
    onnx.floats("b", &[4], &[1.0, 2.0, 3.0, 4.0]);
    onnx.floats("fc", &[4, 5], &(0..20).map(|i| (i as f32).cos()).collect::<Vec<_>>());
    onnx.integers("flat", &[0, -1]);
    onnx.node("Conv", &["x", "w", "b"], "c", &[PADS]);
    onnx.node("Relu", &["c"], "r", &[]);
    onnx.node("MaxPool", &["r"], "p", &[("kernel_shape", Ints(&[2, 2])), ("strides", Ints(&[2, 2]))]);
    onnx.node("GlobalAveragePool", &["p"], "g", &[]);
    onnx.node("Reshape", &["g", "flat"], "f", &[]);
    onnx.node("Gemm", &["f", "fc"], "m", &[("transB", Int(0))]);
    onnx.node("Softmax", &["m"], "probabilities", &[]);
    let imported = read(onnx, "probabilities");
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
    let transposed: Vec<f32> = (0..20).map(|i| ((i % 4 * 5 + i / 4) as f32).cos()).collect();
    assert_eq!(state(&imported, "m.weight"), transposed);
    assert_eq!(imported.spec.outputs.keys().collect::<Vec<_>>(), ["logits"]);
    assert_eq!(imported.metadata.normalize, normalize());
}

#[test]
fn three_values_are_ternary_weights() {
    let mut onnx = Onnx::new();
    onnx.floats("zero", &[], &[0.0]);
    onnx.floats("w", &[4, 3, 1, 1], &[0.5, 0.0, -0.25, 0.5, -0.25, 0.0, 0.0, 0.0, 0.5, -0.25, 0.5, 0.0]);
    onnx.node("Greater", &["x", "zero"], "mask", &[]);
    onnx.node("Cast", &["mask"], "codes", &[("to", Int(1))]);
    onnx.node("Conv", &["codes", "w"], "y", &[]);
    let imported = read(onnx, "y");
    assert_eq!(ops(&imported), ["input", "normalize_image", "step", "ternarize_weight", "ternary_conv2d"]);
    assert_eq!([state(&imported, "y.positive_scale"), state(&imported, "y.negative_scale")], [[0.5], [0.25]]);
}
