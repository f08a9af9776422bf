//! Ops with derivatives, away from kinks, against central differences.

use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    ApplyMask, Arithmetic, ArithmeticFunction, AvgPool2d, BatchNorm, BroadcastTo, Clamp, Compare, Comparison, Concat,
    Conv2d, Dropout, Gather, IntervalMask, Matmul, MaxPool2d, PadAxis, Prelu, Reduce, Reduction, Relu, Repeat, Reshape,
    Scatter, Select, Slice, SoftmaxCrossEntropy, Transpose, Unary, UnaryFunction,
};

use crate::net::Net;

const PAIRS: [(&[usize], &[usize]); 8] = [
    (&[2, 3, 4], &[2, 3, 4]),
    (&[2, 3, 4], &[4]),
    (&[4], &[2, 3, 4]),
    (&[2, 3, 4], &[3, 1]),
    (&[2, 1, 4], &[3, 1]),
    (&[2, 3, 4], &[]),
    (&[], &[]),
    (&[1, 1], &[1]),
];

#[test]
fn arithmetic_with_every_stretching() {
    let functions = [
        ArithmeticFunction::Add,
        ArithmeticFunction::Sub,
        ArithmeticFunction::Mul,
        ArithmeticFunction::Div,
        ArithmeticFunction::Min,
        ArithmeticFunction::Max,
    ];
    for function in functions {
        for (left, right) in PAIRS {
            let mut net = Net::new();
            let a = net.state("a", left);
            let b = net.positive("b", right);
            let y = net.op(Arithmetic { function }, &[a, b]);
            net.loss(y);
            net.check(&format!("{function:?} {left:?} {right:?}"), &["a", "b"]);
        }
    }
}

#[test]
fn select_with_every_stretching() {
    for (left, right) in [(&[2, 3, 4][..], &[4][..]), (&[3, 1], &[2, 3, 4]), (&[], &[2, 1, 1])] {
        let mut net = Net::new();
        let of = net.state("of", &[2, 3, 4]);
        let zero = net.state_of("zero", &[], vec![0.0]);
        let mask = net.op(Compare { comparison: Comparison::Less }, &[of, zero]);
        let (a, b) = (net.state("a", left), net.state("b", right));
        let y = net.op(Select {}, &[mask, a, b]);
        net.loss(y);
        net.check(&format!("select {left:?} {right:?}"), &["a", "b"]);
    }
}

#[test]
fn unary() {
    for (function, positive) in [
        (UnaryFunction::Neg, false),
        (UnaryFunction::Abs, false),
        (UnaryFunction::Exp, false),
        (UnaryFunction::Log, true),
        (UnaryFunction::Sqrt, true),
        (UnaryFunction::Tanh, false),
    ] {
        let mut net = Net::new();
        let x = if positive { net.positive("x", &[2, 5]) } else { net.state("x", &[2, 5]) };
        let y = net.op(Unary { function }, &[x]);
        net.loss(y);
        net.check(&format!("{function:?}"), &["x"]);
    }
}

#[test]
fn clamp_relu_prelu_masks_and_dropout() {
    let mut net = Net::new();
    let x = net.state("x", &[3, 20]);
    let y = net.op(Clamp { min: -0.502, max: 0.251 }, &[x]);
    net.loss(y);
    net.check("clamp", &["x"]);

    let mut net = Net::new();
    let x = net.state("x", &[3, 20]);
    let y = net.op(Relu {}, &[x]);
    net.loss(y);
    net.check("relu", &["x"]);

    for slopes in [1, 20] {
        let mut net = Net::new();
        let (x, slope) = (net.state("x", &[3, 2, 20]), net.state("slope", &[slopes]));
        let y = net.op(Prelu {}, &[x, slope]);
        net.loss(y);
        net.check(&format!("prelu of {slopes}"), &["x", "slope"]);
    }

    let mut net = Net::new();
    let (of, x) = (net.state("of", &[3, 20]), net.state("x", &[3, 20]));
    let mask = net.op(IntervalMask { min: -0.5, max: 0.5, flat: false }, &[of]);
    let y = net.op(ApplyMask { scale: 1.5 }, &[mask, x]);
    net.loss(y);
    net.check("apply_mask", &["x"]);

    let mut net = Net::new();
    let x = net.state("x", &[3, 20]);
    let y = net.op(Dropout { p: 0.4, stream: 2 }, &[x]);
    net.loss(y);
    net.check("dropout", &["x"]);
    let zeroes = net.gradients(&["x"]).unwrap()["x"].data.iter().filter(|&&dx| dx == 0.0).count();
    assert!((1..60).contains(&zeroes), "dropout drops some: {zeroes} of 60");
}

#[test]
fn conv2d() {
    let windows = [
        Window::square(3, 1, 1),
        Window::square(1, 2, 0),
        Window::square(3, 2, 1),
        Window { kernel: [2, 3], stride: [1, 2], padding: [0, 2], dilation: [3, 1] },
    ];
    for window in windows {
        for (c, o, groups) in [(1, 1, 1), (3, 2, 1), (4, 6, 2), (3, 3, 3)] {
            let mut net = Net::new();
            let x = net.state("x", &[2, 5, 4, c]);
            let w = net.state("w", &[o, c / groups, window.kernel[0], window.kernel[1]]);
            let y = net.op(Conv2d { window, groups }, &[x, w]);
            net.loss(y);
            net.check(&format!("conv2d {window:?} {c} {o} {groups}"), &["x", "w"]);
        }
    }
}

#[test]
fn matmul() {
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut net = Net::new();
        let a = net.state("a", if transpose_a { &[4, 3] } else { &[3, 4] });
        let b = net.state("b", if transpose_b { &[5, 4] } else { &[4, 5] });
        let y = net.op(Matmul { transpose_a, transpose_b }, &[a, b]);
        net.loss(y);
        net.check(&format!("matmul {transpose_a} {transpose_b}"), &["a", "b"]);
    }
}

#[test]
fn batch_norm_has_three_gradients() {
    for shape in [&[6, 3][..], &[2, 3, 2, 4], &[5, 1]] {
        let mut net = Net::new();
        let c = shape[shape.len() - 1];
        let x = net.state("x", shape);
        let (gamma, beta) = (net.state("gamma", &[c]), net.state("beta", &[c]));
        let (mean, var) = (net.state("mean", &[c]), net.positive("var", &[c]));
        let y = net.ops(BatchNorm { eps: 1e-3, momentum: 0.1 }, &[x, gamma, beta, mean, var])[0];
        net.loss(y);
        net.check(&format!("batch_norm {shape:?}"), &["x", "gamma", "beta"]);
        // Running statistics are read by nobody here.
        assert!(net.gradients(&["mean", "var"]).unwrap().is_empty());
    }
}

#[test]
fn pools() {
    let windows = [
        Window::square(2, 2, 0),
        Window::square(3, 1, 1),
        Window { kernel: [2, 3], stride: [1, 3], padding: [1, 0], dilation: [2, 1] },
        Window { kernel: [4, 5], ..Window::square(1, 1, 0) },
    ];
    for window in windows {
        let mut net = Net::new();
        let x = net.state("x", &[2, 4, 5, 3]);
        let y = net.op(MaxPool2d { window }, &[x]);
        net.loss(y);
        net.check(&format!("max_pool2d {window:?}"), &["x"]);

        for ceil in [false, true] {
            let mut net = Net::new();
            let x = net.state("x", &[2, 4, 5, 3]);
            let y = net.op(AvgPool2d { window, ceil }, &[x]);
            net.loss(y);
            net.check(&format!("avg_pool2d {window:?} ceil {ceil}"), &["x"]);
        }
    }
}

#[test]
fn softmax_cross_entropy() {
    for label_smoothing in [0.0, 0.1, 1.0] {
        for classes in [2, 7] {
            let mut net = Net::new();
            let logits = net.state("logits", &[2, classes]);
            let label = net.index("label", classes as u32, &[]);
            let loss = net.op(SoftmaxCrossEntropy { label_smoothing }, &[logits, label]);
            net.loss(loss);
            net.check(&format!("softmax_cross_entropy {label_smoothing} {classes}"), &["logits"]);
        }
    }
}

#[test]
fn reductions_over_every_choice_of_axes() {
    for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Max] {
        for axes in [vec![], vec![0], vec![1], vec![2], vec![0, 2], vec![1, 2], vec![0, 1, 2]] {
            for keep in [false, true] {
                let mut net = Net::new();
                let x = net.state("x", &[2, 3, 4]);
                let y = net.op(Reduce { reduction, axes: axes.clone(), keep }, &[x]);
                net.loss(y);
                net.check(&format!("{reduction:?} {axes:?} {keep}"), &["x"]);
            }
        }
    }
}

#[test]
fn moves_of_elements() {
    for permutation in [vec![2, 0, 1], vec![1, 0, 2], vec![0, 1, 2]] {
        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4]);
        let y = net.op(Transpose { permutation }, &[x]);
        net.loss(y);
        net.check("transpose", &["x"]);
    }
    for dims in [vec![0, -1], vec![4, 3, 2], vec![-1]] {
        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4]);
        let y = net.op(Reshape { dims }, &[x]);
        net.loss(y);
        net.check("reshape", &["x"]);
    }
    for (from, to) in [(&[4][..], [2, 3, 4]), (&[3, 1], [2, 3, 4]), (&[], [2, 1, 4]), (&[2, 3, 4], [2, 3, 4])] {
        let mut net = Net::new();
        let x = net.state("x", from);
        let y = net.op(BroadcastTo { shape: to.into() }, &[x]);
        net.loss(y);
        net.check("broadcast_to", &["x"]);
    }
    for axis in 0..3 {
        let extent = [2, 3, 4][axis];
        for (start, end) in [(0, 1), (1, extent), (0, extent)] {
            let mut net = Net::new();
            let x = net.state("x", &[2, 3, 4]);
            let y = net.op(Slice { axis, start, end }, &[x]);
            net.loss(y);
            net.check("slice", &["x"]);
        }
        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4]);
        let y = net.op(PadAxis { axis, before: 2, after: 1 }, &[x]);
        net.loss(y);
        net.check("pad_axis", &["x"]);

        let mut net = Net::new();
        let (a, b) = (net.state("a", &[2, 3, 4]), net.state("b", &[2, 3, 4]));
        let y = net.op(Concat { axis }, &[a, b, a]);
        net.loss(y);
        net.check("concat", &["a", "b"]);

        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4]);
        let y = net.op(Repeat { axis, times: 3 }, &[x]);
        net.loss(y);
        net.check("repeat", &["x"]);
    }
}

#[test]
fn picks_of_elements() {
    for axis in 1..3 {
        let mut sample = vec![3, 4];
        let extent = sample.remove(axis - 1);
        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4]);
        let index = net.index("index", extent as u32, &sample);
        let y = net.op(Gather { axis }, &[x, index]);
        net.loss(y);
        net.check("gather", &["x"]);

        let mut net = Net::new();
        let dy = net.state("dy", &[2, sample[0]]);
        let index = net.index("index", extent as u32, &sample);
        let y = net.op(Scatter { axis, extent }, &[index, dy]);
        net.loss(y);
        net.check("scatter", &["dy"]);
    }
}

/// A network in which every gradient passes through several kinds of ops.
#[test]
fn a_small_network() {
    let mut net = Net::new();
    let x = net.state("x", &[2, 4, 4, 2]);
    let (w1, gamma, beta) = (net.state("w1", &[3, 2, 3, 3]), net.positive("gamma", &[3]), net.state("beta", &[3]));
    let (mean, var) = (net.state("mean", &[3]), net.positive("var", &[3]));
    let (w2, slope, w3) = (net.state("w2", &[3, 3, 1, 1]), net.state("slope", &[3]), net.state("w3", &[5, 12]));
    let y = net.op(Conv2d { window: Window::square(3, 1, 1), groups: 1 }, &[x, w1]);
    let y = net.ops(BatchNorm { eps: 1e-5, momentum: 0.1 }, &[y, gamma, beta, mean, var])[0];
    let shortcut = net.op(Conv2d { window: Window::square(1, 1, 0), groups: 1 }, &[y, w2]);
    let positive = net.op(Relu {}, &[shortcut]);
    let negative = net.op(Arithmetic::SUB, &[shortcut, positive]);
    let negative = net.op(Arithmetic::MUL, &[slope, negative]);
    let y = net.op(Arithmetic::ADD, &[y, positive]);
    let y = net.op(Arithmetic::ADD, &[y, negative]);
    let y = net.op(AvgPool2d { window: Window::square(2, 2, 0), ceil: false }, &[y]);
    let y = net.op(Reshape { dims: vec![0, -1] }, &[y]);
    let logits = net.op(Matmul { transpose_a: false, transpose_b: true }, &[y, w3]);
    let label = net.index("label", 5, &[]);
    let loss = net.op(SoftmaxCrossEntropy { label_smoothing: 0.1 }, &[logits, label]);
    net.graph.set_output("loss", loss);
    net.check("network", &["x", "w1", "gamma", "beta", "w2", "slope", "w3"]);
}
