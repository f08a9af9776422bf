//! What is differentiated, and what is not.

use binary_nets_conformance::Tensor;
use binary_nets_graph::ops::{
    Arithmetic, BatchNorm, BatchNormInference, BinarizeWeight, BinaryConv2d, Matmul, Sign, StopGradient, Surrogate,
    WeightGradient, WeightScale,
};
use binary_nets_graph::{GraphError, Window};

use crate::net::Net;

#[test]
fn a_value_used_several_times_accumulates() {
    let mut net = Net::new();
    let x = net.state("x", &[3, 3]);
    let square = net.op(Arithmetic::MUL, &[x, x]);
    let product = net.op(Matmul { transpose_a: false, transpose_b: true }, &[square, x]);
    let y = net.op(Arithmetic::ADD, &[product, x]);
    net.loss(y);
    net.check("x² · xᵀ + x", &["x"]);
}

#[test]
fn x_plus_x_has_twice_the_gradient() {
    let mut net = Net::new();
    let x = net.state("x", &[4]);
    let y = net.op(Arithmetic::ADD, &[x, x]);
    let r = net.loss(y);
    assert_eq!(net.gradients(&["x"]).unwrap()["x"], r.map(|r| r + r));
}

#[test]
fn stop_gradient_stops_one_way_only() {
    let mut net = Net::new();
    let x = net.state("x", &[4]);
    let stopped = net.op(StopGradient {}, &[x]);
    let y = net.op(Arithmetic::MUL, &[x, stopped]);
    let r = net.loss(y);
    // As if the factor were a constant: r·x, not 2·r·x.
    let expected: Tensor = r.zip(&net.given["x"], |r, x| r * x);
    assert_eq!(net.gradients(&["x"]).unwrap()["x"], expected);

    let mut net = Net::new();
    let x = net.state("x", &[4]);
    let stopped = net.op(StopGradient {}, &[x]);
    net.loss(stopped);
    assert!(net.gradients(&["x"]).unwrap().is_empty());
}

#[test]
fn only_parameters_that_were_asked_for_get_gradients() {
    let mut net = Net::new();
    let (a, b) = (net.state("a", &[4]), net.state("b", &[4]));
    net.state("unused", &[4]);
    let y = net.op(Arithmetic::MUL, &[a, b]);
    net.loss(y);
    let asked = |paths: &[&str]| net.gradients(paths).unwrap().into_keys().collect::<Vec<_>>();
    assert_eq!(asked(&["a"]), ["a"]);
    assert_eq!(asked(&["b", "a"]), ["a", "b"]);
    assert_eq!(asked(&["a", "unused"]), ["a"]);
    assert_eq!(asked(&[]), Vec::<String>::new());
}

#[test]
fn ops_without_a_gradient_say_so_only_when_one_is_wanted() {
    let mut net = Net::new();
    let x = net.state("x", &[6, 2]);
    let norm = ["gamma", "beta", "mean", "var"].map(|path| net.positive(path, &[2]));
    let y = net.op(BatchNormInference { eps: 1e-5 }, &[&[x], &norm[..]].concat());
    let other = net.state("other", &[6, 2]);
    let y = net.op(Arithmetic::ADD, &[y, other]);
    net.loss(y);
    let error = net.gradients(&["x"]).unwrap_err();
    assert_eq!(error, GraphError::NotDifferentiable { op: "batch_norm_inference", path: "layer".to_owned() });
    assert!(net.gradients(&["other"]).is_ok());
}

#[test]
fn batch_statistics_have_no_gradient() {
    let mut net = Net::new();
    let x = net.state("x", &[6, 2]);
    let norm = ["gamma", "beta", "mean", "var"].map(|path| net.positive(path, &[2]));
    let outputs = net.ops(BatchNorm { eps: 1e-5, momentum: 0.1 }, &[&[x], &norm[..]].concat());
    net.loss(outputs[2]);
    assert!(matches!(net.gradients(&["x"]), Err(GraphError::NotDifferentiable { op: "batch_norm", .. })));
}

#[test]
fn integers_have_no_gradient() {
    let mut net = Net::new();
    let x = net.state("x", &[1, 2, 2, 3]);
    let codes = net.op(Sign { gradient: Surrogate::Clip, groups: 1 }, &[x]);
    let w = net.state("w", &[2, 3, 1, 1]);
    let bits =
        net.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups: 1 }, &[w])[0];
    let d = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, bits]);
    let (a, c) = (net.state("a", &[2]), net.state("c", &[2]));
    let y = net.op(binary_nets_graph::ops::Affine { border: None }, &[d, a, c]);
    net.loss(y);
    assert!(matches!(net.gradients(&["x"]), Err(GraphError::NotDifferentiable { op: "affine", .. })));
}

#[test]
fn a_loss_is_one_number() {
    let mut net = Net::new();
    let x = net.state("x", &[4]);
    net.graph.set_output("loss", x);
    assert!(matches!(net.gradients(&["x"]), Err(GraphError::Shape { op: "differentiate", .. })));
    net.graph.set_output("other", x);
    net.graph.retain_outputs(&["other"]).unwrap();
    assert!(matches!(net.gradients(&["x"]), Err(GraphError::Unknown { kind: "output", .. })));
}
