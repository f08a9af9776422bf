//! What is not understood is refused, by the node that does it.

use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::import;

use crate::builder::Attribute::{Int, Ints, Text};
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
    onnx.node("Conv", &["x", "w"], "y", &[("auto_pad", Text("SAME_UPPER"))]);
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

#[test]
fn kernels_and_constants_of_no_extent_are_refused() {
    for extents in [[0, 3, 3, 3], [2, 0, 3, 3], [2, 3, 3, 0]] {
        let mut onnx = Onnx::new();
        onnx.floats("w", &extents, &[]);
        onnx.node("Conv", &["x", "w"], "y", &[("pads", Ints(&[0, 0, 1, 1]))]);
        says(&refused(onnx, "y"), &["Conv 'y'", "no extent"]);
    }
    for extents in [[0, 192], [5, 0]] {
        let mut onnx = Onnx::new();
        onnx.floats("w", &extents, &[]);
        onnx.node("Flatten", &["x"], "f", &[]);
        onnx.node("Gemm", &["f", "w"], "y", &[("transB", Int(1))]);
        says(&refused(onnx, "y"), &["Gemm 'y'", "no extent"]);
    }
    let mut onnx = Onnx::new();
    onnx.node("MaxPool", &["x"], "y", &[("kernel_shape", Ints(&[0, 2])), ("auto_pad", Text("SAME_UPPER"))]);
    says(&refused(onnx, "y"), &["MaxPool 'y'", "kernel_shape"]);
    let mut onnx = Onnx::taking(2, &[0, 8, 8, 1]);
    onnx.floats("none", &[0], &[]);
    onnx.node("Cast", &["x"], "f", &[("to", Int(1))]);
    onnx.node("Sub", &["f", "none"], "y", &[]);
    says(&import(&onnx.file(&["y"]), None).unwrap_err().to_string(), &["Sub 'y'", "[0]"]);
}

#[test]
fn a_last_window_over_the_end_is_seen_behind_padding_too() {
    let pool = |ceil| {
        let mut onnx = Onnx::new();
        onnx.floats("least", &[], &[f32::MIN]);
        onnx.integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]);
        onnx.node("Pad", &["x", "pads", "least"], "p", &[]);
        let window = [("kernel_shape", Ints(&[3, 3])), ("strides", Ints(&[2, 2]))];
        onnx.node("MaxPool", &["p"], "y", &[window[0], window[1], ("ceil_mode", Int(ceil))]);
        onnx
    };
    says(&refused(pool(1), "y"), &["MaxPool 'y'", "ceil_mode"]);
    assert!(import(&pool(0).file(&["y"]), Some(Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] })).is_ok());
}

#[test]
fn the_mode_of_training_is_refused() {
    let dropout = |mode: f32| {
        let mut onnx = Onnx::new();
        onnx.floats("ratio", &[], &[0.5]);
        onnx.floats("mode", &[], &[mode]);
        onnx.node("Dropout", &["x", "ratio", "mode"], "y", &[]);
        onnx
    };
    says(&refused(dropout(1.0), "y"), &["Dropout 'y'", "training_mode"]);
    assert!(import(&dropout(0.0).file(&["y"]), Some(Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] })).is_ok());

    let mut onnx = Onnx::new();
    onnx.floats("one", &[3], &[1.0; 3]);
    onnx.node_of("BatchNormalization", &["x", "one", "one", "one", "one"], &["y", "", "mean"], &[]);
    says(&refused(onnx, "y"), &["BatchNormalization 'y'", "training"]);
}

#[test]
fn means_over_no_axes_are_means_over_all() {
    let mean = |noop| {
        let mut onnx = Onnx::new();
        onnx.integers("axes", &[]);
        onnx.node("ReduceMean", &["x", "axes"], "y", &[("noop_with_empty_axes", Int(noop))]);
        onnx
    };
    says(&refused(mean(0), "y"), &["ReduceMean 'y'", "all axes"]);
    assert!(import(&mean(1).file(&["y"]), Some(Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] })).is_ok());
}

#[test]
fn bounds_of_a_clip_are_one_number_each() {
    for x in ["x", "constant"] {
        let mut onnx = Onnx::new();
        onnx.floats("constant", &[1, 3, 1, 1], &[1.0, 2.0, 3.0]);
        onnx.floats("bounds", &[3, 1, 1], &[0.0; 3]);
        onnx.node("Clip", &[x, "bounds"], "c", &[]);
        onnx.node("Add", &["x", "c"], "y", &[]);
        says(&refused(onnx, "y"), &["Clip 'c'", "one number"]);
    }
}

#[test]
fn a_constant_of_more_axes_than_a_value_is_refused() {
    let mut onnx = Onnx::new();
    onnx.floats("one", &[1, 1, 1, 1, 1], &[1.0]);
    onnx.node("Add", &["x", "one"], "y", &[]);
    says(&refused(onnx, "y"), &["Add 'y'", "rank 4"]);
}

#[test]
fn what_no_frozen_network_may_be_is_refused_before_it_is_frozen() {
    let mut onnx = Onnx::new();
    onnx.floats("w", &[1, 3, 1, 1500], &vec![1.0; 4500]);
    onnx.node("Conv", &["x", "w"], "y", &[("pads", Ints(&[0, 1000, 0, 1000]))]);
    says(&refused(onnx, "y"), &["conv2d at 'y'", "1500"]);
    let mut onnx = Onnx::taking(2, &[0, 40_000, 1, 1]);
    onnx.node("Cast", &["x"], "y", &[("to", Int(1))]);
    says(&import(&onnx.file(&["y"]), None).unwrap_err().to_string(), &["input at 'image'", "no image"]);
}
