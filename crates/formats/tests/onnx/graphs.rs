//! Binary networks as other libraries write them. Each has the output `y`.

use crate::builder::Attribute::{self, Int, Ints, Text};
use crate::builder::Onnx;

const PADS: (&str, Attribute) = ("pads", Ints(&[1, 1, 1, 1]));

/// The thresholds that libraries write: a relation of x and 0, the numbers where it holds and where not.
pub const THRESHOLDS: [(&str, f32, f32); 6] = [
    ("Less", -1.0, 1.0),
    ("GreaterOrEqual", 1.0, -1.0),
    ("Greater", 1.0, 0.0),
    ("LessOrEqual", 0.0, 1.0),
    ("Greater", 1.0, -1.0),
    ("Less", 1.0, 0.0),
];

/// Weights ±s that look random.
pub fn signs(n: usize, s: f32) -> Vec<f32> {
    (0..n).map(|i| if i * i % 7 < 3 { s } else { -s }).collect()
}

/// Floats that look random.
pub fn waves(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32).sin()).collect()
}

/// `[4, 3, 1, 1]`
pub const TERNARY: [f32; 12] = [0.5, 0.0, -0.25, 0.5, -0.25, 0.0, 0.0, 0.0, 0.5, -0.25, 0.5, 0.0];

/// A sign that is never 0, before 3×3 weights `[4, 3, 3, 3]` of ±0.3, whose signs the graph takes.
pub fn sign_of_sign() -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("bit", &[], &[0.1]);
    onnx.floats("w", &[4, 3, 3, 3], &signs(108, 0.3));
    onnx.node("Sign", &["x"], "s", &[]);
    onnx.node("Add", &["s", "bit"], "t", &[]);
    onnx.node("Sign", &["t"], "codes", &[]);
    // The weights go through the same nodes in the graph.
    onnx.node("Sign", &["w"], "ws", &[]);
    onnx.node("Conv", &["codes", "ws"], "y", &[PADS]);
    onnx
}

/// A sign of what is never negative, before weights `[4, 3, 3, 3]` of ±0.5.
pub fn sign_behind_relu() -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[4, 3, 3, 3], &signs(108, 0.5));
    onnx.node("Relu", &["x"], "r", &[]);
    onnx.node("Sign", &["r"], "codes", &[]);
    onnx.node("Conv", &["codes", "w"], "y", &[PADS]);
    onnx
}

/// One of two numbers, before weights `[4, 3, 1, 1]` of ±1.
pub fn threshold(relation: &str, yes: f32, no: f32) -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("zero", &[], &[0.0]);
    onnx.floats("yes", &[], &[yes]);
    onnx.floats("no", &[], &[no]);
    onnx.floats("w", &[4, 3, 1, 1], &signs(12, 1.0));
    onnx.node(relation, &["x", "zero"], "mask", &[]);
    onnx.node("Where", &["mask", "yes", "no"], "codes", &[]);
    onnx.node("Conv", &["codes", "w"], "y", &[]);
    onnx
}

/// Channels last and transposes around each convolution; a sign, around which are ones. All outputs are weights `[8, …]`.
pub fn channels_last() -> Onnx {
    let mut onnx = Onnx::taking(1, &[0, 8, 8, 3]);
    onnx.floats("one", &[], &[1.0]);
    onnx.floats("stem", &[8, 3, 3, 3], &waves(216));
    onnx.floats("w", &[8, 8, 3, 3], &signs(576, 1.0));
    onnx.floats("bias", &[8], &[0.5; 8]);
    onnx.integers("pads", &[0, 1, 1, 0, 0, 1, 1, 0]);
    let (first, last) = (("perm", Ints(&[0, 3, 1, 2])), ("perm", Ints(&[0, 2, 3, 1])));
    onnx.node("Transpose", &["x"], "x1", &[first]);
    onnx.node("Conv", &["x1", "stem"], "c1", &[("auto_pad", Text("SAME_UPPER")), ("strides", Ints(&[2, 2]))]);
    onnx.node("Transpose", &["c1"], "b0", &[last]);
    onnx.node("Add", &["b0", "bias"], "b1", &[]);
    onnx.node("Sign", &["b1"], "codes", &[]);
    onnx.node("Pad", &["codes", "pads", "one"], "padded", &[]);
    onnx.node("Transpose", &["padded"], "x2", &[first]);
    onnx.node("Conv", &["x2", "w"], "c2", &[]);
    onnx.node("Transpose", &["c2"], "y", &[last]);
    onnx
}

/// A convolution with a bias, a rectifier, a pool, a mean, a product with `[4, 5]`.
pub fn float_network() -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[4, 3, 3, 3], &waves(108));
    onnx.floats("b", &[4], &[1.0, 2.0, 3.0, 4.0]);
    onnx.floats("fc", &[4, 5], &waves(20));
    onnx.integers("flat", &[0, -1]);
    onnx.node("Conv", &["x", "w", "b"], "c", &[PADS]);
    onnx.node("Relu", &["c"], "r", &[]);
    onnx.node("MaxPool", &["r"], "p", &[("kernel_shape", Ints(&[2, 2])), ("strides", Ints(&[2, 2]))]);
    onnx.node("GlobalAveragePool", &["p"], "g", &[]);
    onnx.node("Reshape", &["g", "flat"], "f", &[]);
    onnx.node("Gemm", &["f", "fc"], "m", &[("transB", Int(0))]);
    onnx.node("Softmax", &["m"], "y", &[]);
    onnx
}

/// 0/1 codes before [`TERNARY`] weights.
pub fn ternary() -> Onnx {
    let mut onnx = Onnx::new();
    onnx.floats("zero", &[], &[0.0]);
    onnx.floats("w", &[4, 3, 1, 1], &TERNARY);
    onnx.node("Greater", &["x", "zero"], "mask", &[]);
    onnx.node("Cast", &["mask"], "codes", &[("to", Int(1))]);
    onnx.node("Conv", &["codes", "w"], "y", &[]);
    onnx
}
