//! Kinks: what the documentation says there.

use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    Arithmetic, ArithmeticFunction, Clamp, Compare, Comparison, Constant, MaxPool2d, Prelu, Reduce, Reduction, Relu,
    Select, Unary, UnaryFunction,
};

use crate::net::Net;

#[test]
fn clamp_passes_the_gradient_at_both_ends() {
    let points = [-1.5, -1.0, -0.0, 0.0, 0.999, 1.0, 1.5];
    for (min, slopes) in [(-1.0, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), (0.0, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0])] {
        let mut net = Net::new();
        let x = net.state_of("x", &[7], points.to_vec());
        let y = net.op(Clamp { min, max: 1.0 }, &[x]);
        let r = net.loss(y);
        let dx = &net.gradients(&["x"]).unwrap()["x"];
        for i in 0..7 {
            assert_eq!(dx.data[i], r.data[i] * slopes[i], "clamp({min}, 1) at {}", points[i]);
        }
    }
}

#[test]
fn relu_stops_and_abs_passes_at_zero() {
    let points = [-1.0, -0.0, 0.0, 1.0];
    let mut net = Net::new();
    let x = net.state_of("x", &[4], points.to_vec());
    let y = net.op(Relu {}, &[x]);
    let r = net.loss(y).data;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [0.0, 0.0, 0.0, r[3]]);

    let mut net = Net::new();
    let x = net.state_of("x", &[4], points.to_vec());
    let y = net.op(Unary { function: UnaryFunction::Abs }, &[x]);
    let r = net.loss(y).data;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [-r[0], r[1], r[2], r[3]]);
}

#[test]
fn prelu_takes_the_slope_at_zero() {
    let mut net = Net::new();
    let x = net.state_of("x", &[2, 3], vec![-2.0, -0.0, 0.0, 3.0, -0.5, 1e-30]);
    let slope = net.state_of("slope", &[3], vec![0.25, -0.5, 2.0]);
    let y = net.op(Prelu {}, &[x, slope]);
    let r = net.loss(y).data;
    let gradients = net.gradients(&["x", "slope"]).unwrap();
    assert_eq!(gradients["x"].data, [0.25 * r[0], -0.5 * r[1], 2.0 * r[2], r[3], -0.5 * r[4], r[5]]);
    assert_eq!(gradients["slope"].data, [-2.0 * r[0], -0.5 * r[4], 0.0]);
}

#[test]
fn a_rounded_power_has_no_gradient_and_constants_take_none() {
    let mut net = Net::new();
    let x = net.state_of("x", &[3], vec![0.3, 1.0, 5.0]);
    let power = net.op(Unary { function: UnaryFunction::PowerOfTwo }, &[x]);
    let factor = net.op(Constant { values: vec![2.0, -3.0, 0.5], shape: [3].into() }, &[]);
    let product = net.op(Arithmetic::MUL, &[x, power]);
    let y = net.op(Arithmetic::MUL, &[product, factor]);
    let r = net.loss(y).data;
    // 2^round(log₂ x) is 1/4, 1 and 4.
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [0.25 * 2.0 * r[0], -3.0 * r[1], 4.0 * 0.5 * r[2]]);
}

#[test]
fn max_pool_ties_go_to_the_first() {
    let mut net = Net::new();
    // One channel, two windows side by side: a tie of all four, and a tie of the last three.
    let x = net.state_of("x", &[1, 2, 4, 1], vec![5.0, 5.0, 1.0, 2.0, 5.0, 5.0, 2.0, 2.0]);
    let y = net.op(MaxPool2d { window: Window::square(2, 2, 0) }, &[x]);
    let r = net.loss(y).data;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [r[0], 0.0, 0.0, r[1], 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_pixel_that_wins_twice_gets_both_gradients() {
    let mut net = Net::new();
    let x = net.state_of("x", &[1, 1, 3, 1], vec![1.0, 7.0, 1.0]);
    let y = net.op(MaxPool2d { window: Window { kernel: [1, 2], ..Window::square(1, 1, 0) } }, &[x]);
    let r = net.loss(y).data;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [0.0, r[0] + r[1], 0.0]);
}

#[test]
fn ties_of_min_and_max_go_to_the_left() {
    for function in [ArithmeticFunction::Min, ArithmeticFunction::Max] {
        let mut net = Net::new();
        let a = net.state_of("a", &[2], vec![1.0, 0.0]);
        let b = net.state_of("b", &[2], vec![1.0, -0.0]);
        let y = net.op(Arithmetic { function }, &[a, b]);
        let r = net.loss(y).data;
        let gradients = net.gradients(&["a", "b"]).unwrap();
        assert_eq!(gradients["a"].data, r);
        assert_eq!(gradients["b"].data, [0.0, 0.0]);
    }
}

#[test]
fn ties_of_a_reduced_maximum_share() {
    let mut net = Net::new();
    let x = net.state_of("x", &[2, 4], vec![3.0, 3.0, 1.0, 3.0, 0.0, 2.0, -1.0, 0.0]);
    let y = net.op(Reduce { reduction: Reduction::Max, axes: vec![1], keep: false }, &[x]);
    let r = net.loss(y).data;
    let third = r[0] / 3.0;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [third, third, 0.0, third, 0.0, r[1], 0.0, 0.0]);
}

#[test]
fn the_choice_of_a_select_has_no_gradient() {
    let mut net = Net::new();
    let x = net.state_of("x", &[3], vec![-1.0, 0.0, 2.0]);
    let (zero, ten) = (net.state_of("zero", &[], vec![0.0]), net.state_of("ten", &[], vec![10.0]));
    let mask = net.op(Compare { comparison: Comparison::Greater }, &[x, zero]);
    let y = net.op(Select {}, &[mask, ten, x]);
    let r = net.loss(y).data;
    assert_eq!(net.gradients(&["x"]).unwrap()["x"].data, [r[0], r[1], 0.0]);
}
