//! What is not understood is refused, by the node that does it.

use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::import;

use crate::builder::Attribute::{Int, Ints};
use crate::builder::{Onnx, bytes, number, tensor};

fn refused(onnx: Onnx, output: &str) -> String {
    let normalize = Some(Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] });
    import(&onnx.file(&[output]), normalize).unwrap_err().to_string()
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn an_unknown_operator_is_named() {
    let mut onnx = Onnx::new();
    onnx.node("NonMaxSuppression", &["x"], "boxes", &[]);
    says(&refused(onnx, "boxes"), &["NonMaxSuppression 'boxes'", "not known"]);
}

#[test]
fn a_batch_is_never_mixed() {
    let mut onnx = Onnx::new();
    onnx.node("ReduceMean", &["x"], "y", &[("axes", Ints(&[0]))]);
    says(&refused(onnx, "y"), &["ReduceMean 'y'", "images of a batch"]);
    let mut onnx = Onnx::new();
    onnx.integers("dims", &[-1, 3]);
    onnx.node("Reshape", &["x", "dims"], "y", &[]);
    says(&refused(onnx, "y"), &["Reshape 'y'", "batch is not the first axis"]);
}

#[test]
fn padding_that_no_bit_stands_for_is_refused() {
    let mut onnx = Onnx::new();
    onnx.floats("minus", &[], &[-1.0]);
    onnx.floats("w", &[2, 3, 3, 3], &[1.0; 54]);
    onnx.integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]);
    onnx.node("Sign", &["x"], "codes", &[]);
    onnx.node("Pad", &["codes", "pads", "minus"], "padded", &[]);
    onnx.node("Conv", &["padded", "w"], "y", &[]);
    says(&refused(onnx, "y"), &["Conv 'y'", "-1"]);
}

#[test]
fn extents_that_do_not_fit_are_said() {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[2, 5, 3, 3], &[1.0; 90]);
    onnx.node("Conv", &["x", "w"], "y", &[]);
    says(&refused(onnx, "y"), &["Conv 'y'", "conv2d expects"]);
    let mut onnx = Onnx::new();
    onnx.floats("w", &[2, 3, 3, 3], &[1.0; 54]);
    onnx.node("Conv", &["x", "w"], "y", &[("strides", Ints(&[0, 1]))]);
    says(&refused(onnx, "y"), &["Conv 'y'", "strides"]);
}

#[test]
fn what_nothing_makes_is_said() {
    let mut onnx = Onnx::new();
    onnx.node("Relu", &["later"], "y", &[]);
    onnx.node("Relu", &["y"], "later", &[]);
    says(&refused(onnx, "y"), &["Relu 'y'", "'later', which nothing before it makes"]);
    says(&refused(Onnx::new(), "y"), &["output 'y'", "nothing makes it"]);
    let mut onnx = Onnx::new();
    onnx.floats("x", &[1], &[1.0]);
    onnx.floats("x", &[1], &[1.0]);
    says(&refused(onnx, "x"), &["should have one input"]);
}

#[test]
fn floats_need_mean_and_std_and_pixels_do_not() {
    let mut onnx = Onnx::new();
    onnx.node("Relu", &["x"], "y", &[]);
    says(&import(&onnx.file(&["y"]), None).unwrap_err().to_string(), &["input 'x'", "pass mean and std"]);
    let mut onnx = Onnx::taking(2, &[0, 8, 8, 3]);
    onnx.node("Cast", &["x"], "y", &[("to", Int(1))]);
    says(&refused(onnx, "y"), &["input 'x'", "normalises them itself"]);
}

#[test]
fn constants_that_lie_are_refused() {
    let mut onnx = Onnx::new();
    onnx.raw(5, &tensor("w", 1, &[1 << 40, 1 << 40], &[]));
    says(&refused(onnx, "y"), &["constant 'w'", "cannot have the extents"]);
    let mut onnx = Onnx::new();
    onnx.raw(5, &tensor("w", 1, &[3], &[0; 8]));
    says(&refused(onnx, "y"), &["constant 'w'", "2 elements"]);
    let mut onnx = Onnx::new();
    onnx.raw(5, &tensor("w", 1, &[-3], &[0; 12]));
    says(&refused(onnx, "y"), &["constant 'w'", "[-3]"]);
    let mut onnx = Onnx::new();
    onnx.raw(5, &[tensor("w", 1, &[3], &[]), number(14, 1)].concat());
    says(&refused(onnx, "y"), &["constant 'w'", "another file"]);
}

#[test]
fn computed_constants_take_no_more_than_the_file_may() {
    let mut onnx = Onnx::new();
    onnx.integers("extents", &[30_000, 30_000]);
    onnx.node("ConstantOfShape", &["extents"], "zeroes", &[]);
    says(&refused(onnx, "zeroes"), &["'a computed constant' takes 3600000000 bytes"]);
    // Each node doubles what the one before it made.
    let mut onnx = Onnx::new();
    onnx.integers("c0", &[1; 64]);
    for i in 0..40 {
        let name = format!("c{i}");
        onnx.node("Concat", &[&name, &name], &format!("c{}", i + 1), &[("axis", Int(0))]);
    }
    says(&refused(onnx, "c40"), &["'a computed constant'"]);
}

#[test]
fn more_nodes_or_axes_than_anybody_has_are_refused() {
    let mut onnx = Onnx::new();
    for i in 0..20_001 {
        onnx.node("Identity", &["x"], &format!("y{i}"), &[]);
    }
    says(&refused(onnx, "y0"), &["20001 nodes"]);
    let mut onnx = Onnx::new();
    onnx.node("Unsqueeze", &["x"], "y", &[("axes", Ints(&[1; 20]))]);
    says(&refused(onnx, "y"), &["Unsqueeze 'y'", "24 axes"]);
}

#[test]
fn weights_of_no_extent_are_refused() {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[2, 3, 0, 3], &[]);
    onnx.node("Conv", &["x", "w"], "y", &[("auto_pad", crate::builder::Attribute::Text("SAME_UPPER"))]);
    says(&refused(onnx, "y"), &["Conv 'y'", "no extent"]);
}

#[test]
fn messages_of_nothing_take_no_more_than_the_file_may() {
    let mut onnx = Onnx::new();
    for _ in 0..200_000 {
        onnx.raw(1, &[]);
    }
    says(&refused(onnx, "y"), &["'the ONNX model'"]);
}

#[test]
fn what_is_no_model_is_said() {
    for file in [&b""[..], b"\x89PNG\r\n", &bytes(7, b"\xff"), &number(1, 8)] {
        says(&import(file, None).unwrap_err().to_string(), &["no ONNX model"]);
    }
    let mut onnx = Onnx::new();
    onnx.opset = 3;
    says(&refused(onnx, "y"), &["opset 3"]);
}
