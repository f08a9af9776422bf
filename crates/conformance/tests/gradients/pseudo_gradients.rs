//! What stands in for the derivative of a sign, point by point, against its formula in f64.

use binary_nets_conformance::Tensor;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, Input, Scalar, Sign, Step, Surrogate, WeightGradient, WeightScale,
};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{GraphError, Meaning, Op};

use crate::net::Net;

/// Both sides of both ends, both zeros, between, and far away.
const POINTS: [f64; 17] = [
    -3e38,
    -40.0,
    -2.0,
    -1.0 - 1e-6,
    -1.0,
    -1.0 + 1e-6,
    -0.25,
    -0.0,
    0.0,
    0.25,
    0.5,
    1.0 - 1e-6,
    1.0,
    1.0 + 1e-6,
    3.0,
    150.0,
    1e20,
];

const SCALES: [WeightScale; 4] = [WeightScale::None, WeightScale::Tensor, WeightScale::Group, WeightScale::Channel];

/// A net whose gradient at the codes is r: a 1×1 convolution of one channel with the number 1.
fn codes_net(points: &[f64], step: bool, gradient: Surrogate, scalars: &[(&str, f64)]) -> (Net, Vec<f64>) {
    let mut net = Net::new();
    for &(name, number) in scalars {
        net.given.insert(name.to_owned(), Tensor::number(number));
    }
    let x = net.state_of("x", &[points.len(), 1, 1, 1], points.to_vec());
    let codes =
        if step { net.op(Step { gradient, groups: 1 }, &[x]) } else { net.op(Sign { gradient, groups: 1 }, &[x]) };
    let w = net.state_of("w", &[1, 1, 1, 1], vec![1.0]);
    let q = net.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups: 1 }, &[w]);
    let y = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, q[0], q[1]]);
    let r = net.loss(y);
    (net, r.data)
}

/// The gradient of x and that of its codes.
fn through_codes(points: &[f64], step: bool, gradient: Surrogate, scalars: &[(&str, f64)]) -> (Vec<f64>, Vec<f64>) {
    let (net, r) = codes_net(points, step, gradient, scalars);
    (net.gradients(&["x"]).unwrap()["x"].data.clone(), r)
}

fn inside(x: f64) -> f64 {
    if (-1.0..=1.0).contains(&x) { 1.0 } else { 0.0 }
}

fn polynomial(x: f64) -> f64 {
    inside(x) * if x < 0.0 { 2.0 + 2.0 * x } else { 2.0 - 2.0 * x }
}

#[test]
fn surrogates_point_by_point() {
    let formulas = [
        (Surrogate::Identity, (|_| 1.0) as fn(f64) -> f64),
        (Surrogate::Clip, inside),
        (Surrogate::Approx, polynomial),
    ];
    for step in [false, true] {
        for (gradient, slope) in &formulas {
            let (dx, r) = through_codes(&POINTS, step, gradient.clone(), &[]);
            for (i, x) in POINTS.into_iter().enumerate() {
                // Far away the slope is 0 of either sign.
                assert_eq!(dx[i], r[i] * slope(x), "{gradient:?} at {x}, step {step}");
            }
        }
    }
}

/// The function that swish stands for is `2σ(βx)(1 + βx(1 − σ(βx))) − 1`; its slope by central differences, and by hand where it is known.
#[test]
fn swish_is_the_slope_of_the_sign_swish() {
    for beta in [5.0f32, 1.5] {
        let b = f64::from(beta);
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let smooth = |x: f64| 2.0 * sigmoid(b * x) * (1.0 + b * x * (1.0 - sigmoid(b * x))) - 1.0;
        for step in [false, true] {
            let (dx, r) = through_codes(&POINTS, step, Surrogate::Swish { beta }, &[]);
            for (i, x) in POINTS.into_iter().enumerate() {
                let slope = if x.abs() < 1e3 { (smooth(x + 1e-5) - smooth(x - 1e-5)) / 2e-5 } else { 0.0 };
                // The error of differences: their step squared times the third derivative, which grows like β³.
                assert!((dx[i] / r[i] - slope).abs() <= 1e-9 * b.powi(3), "β {beta} at {x}: {} {slope}", dx[i] / r[i]);
                if x == 0.0 {
                    assert_eq!(dx[i], r[i] * b);
                }
            }
        }
    }
}

/// `dx = g·(2 − 2|x|)` where `|x| ≤ 1`, else 0, of small ops.
const POLYNOMIAL: &str = r#"{ "version": 1,
    "nodes": [
        { "op": { "input": { "name": "x", "shape": [], "meaning": "f32" } } },
        { "op": { "input": { "name": "g", "shape": [], "meaning": "f32" } } },
        { "op": { "fill": { "value": 2.0, "shape": [] } } },
        { "op": { "fill": { "value": 1.0, "shape": [] } } },
        { "op": { "unary": { "function": "abs" } }, "inputs": [[0, 0]] },
        { "op": { "arithmetic": { "function": "min" } }, "inputs": [[4, 0], [3, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[5, 0], [2, 0]] },
        { "op": { "arithmetic": { "function": "sub" } }, "inputs": [[2, 0], [6, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[1, 0], [7, 0]] } ],
    "outputs": { "dx": [8, 0] } }"#;

/// `dx = g·k·t·(1 − tanh²(t·x))`, IR-Net's estimator (Qin et al. 2020), whose k and t are given with every step.
const ESTIMATOR: &str = r#"{ "version": 1,
    "nodes": [
        { "op": { "input": { "name": "g", "shape": [], "meaning": "f32" } } },
        { "op": { "input": { "name": "x", "shape": [], "meaning": "f32" } } },
        { "op": { "scalar": { "name": "k" } } },
        { "op": { "scalar": { "name": "t" } } },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[1, 0], [3, 0]] },
        { "op": { "unary": { "function": "tanh" } }, "inputs": [[4, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[5, 0], [5, 0]] },
        { "op": { "fill": { "value": 1.0, "shape": [] } } },
        { "op": { "arithmetic": { "function": "sub" } }, "inputs": [[7, 0], [6, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[2, 0], [3, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[9, 0], [8, 0]] },
        { "op": { "arithmetic": { "function": "mul" } }, "inputs": [[0, 0], [10, 0]] } ],
    "outputs": { "dx": [11, 0] } }"#;

fn spec(json: &str) -> GraphSpec {
    GraphSpec::parse(json).unwrap()
}

fn estimator(k: f64, t: f64, x: f64) -> f64 {
    k * t / (t * x).cosh().powi(2)
}

#[test]
fn custom_surrogates_compute_their_graph() {
    for step in [false, true] {
        let (dx, r) = through_codes(&POINTS, step, Surrogate::Custom(Box::new(spec(POLYNOMIAL))), &[]);
        for (i, x) in POINTS.into_iter().enumerate() {
            assert_eq!(dx[i], r[i] * polynomial(x), "at {x}, step {step}");
        }
        for (k, t) in [(10.0, 0.1), (1.0, 3.0)] {
            let (dx, r) =
                through_codes(&POINTS, step, Surrogate::Custom(Box::new(spec(ESTIMATOR))), &[("k", k), ("t", t)]);
            for (i, x) in POINTS.into_iter().enumerate() {
                // 1 − tanh² cancels to the rounding error of 1.
                assert!((dx[i] - r[i] * estimator(k, t, x)).abs() <= 1e-14 * k * t, "k {k} t {t} at {x}");
            }
        }
    }
}

/// Two layers and the loss itself read one scalar: it stays one leaf of the step.
#[test]
fn scalars_of_custom_gradients_are_shared_by_name() {
    let mut net = Net::new();
    let x = net.state_of("x", &[3, 1, 1, 1], vec![-0.5, 0.25, 2.0]);
    let w = net.state_of("w", &[1, 1, 1, 1], vec![0.5]);
    let (k, t) = (2.0, 0.7);
    net.given.insert("k".to_owned(), Tensor::number(k));
    net.given.insert("t".to_owned(), Tensor::number(t));
    let scalar = net.op(Scalar { name: "t".to_owned() }, &[]);
    let codes = net.op(Sign { gradient: Surrogate::Custom(Box::new(spec(ESTIMATOR))), groups: 1 }, &[x]);
    let gradient = WeightGradient::Custom(Box::new(spec(ESTIMATOR)));
    let q = net.ops(BinarizeWeight { scale: WeightScale::None, gradient, groups: 1 }, &[w]);
    let y = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, q[0], q[1]]);
    let y = net.op(binary_nets_graph::ops::Arithmetic::MUL, &[y, scalar]);
    let r = net.loss(y).data;

    let graph = binary_nets_graph::passes::differentiate(&net.graph, "loss", &["x", "w"]).unwrap().graph;
    let scalars = graph.nodes().iter().filter(|node| node.op.name() == "scalar").count();
    assert_eq!(scalars, 2, "k and t");
    assert!(graph.nodes().iter().all(|node| node.op.name() != "input"), "x and g are values of the step");

    let gradients = net.gradients(&["x", "w"]).unwrap();
    for (i, x) in [-0.5, 0.25, 2.0].into_iter().enumerate() {
        assert!((gradients["x"].data[i] - t * r[i] * estimator(k, t, x)).abs() <= 1e-14, "{x}");
    }
    let dq: f64 = t * (-r[0] + r[1] + r[2]);
    assert!((gradients["w"].data[0] - dq * estimator(k, t, 0.5)).abs() <= 1e-14);
}

/// An input of the model that has the name of a custom gradient's own keeps to itself.
#[test]
fn names_of_a_custom_gradient_hide_those_of_the_model() {
    let mut net = Net::new();
    let image = net.op(Input { name: "x".to_owned(), shape: [1, 1, 1].into(), meaning: Meaning::F32 }, &[]);
    net.given.insert("x".to_owned(), Tensor::new([2, 1, 1, 1], vec![100.0, 100.0]));
    let p = net.state_of("p", &[1], vec![-99.5]);
    let x = net.op(binary_nets_graph::ops::Arithmetic::ADD, &[image, p]);
    let codes = net.op(Sign { gradient: Surrogate::Custom(Box::new(spec(POLYNOMIAL))), groups: 1 }, &[x]);
    let w = net.state_of("w", &[1, 1, 1, 1], vec![1.0]);
    let q = net.ops(BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups: 1 }, &[w]);
    let y = net.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[codes, q[0], q[1]]);
    let r = net.loss(y).data;
    // At x = 0.5 the slope is 1.
    assert_eq!(net.gradients(&["p"]).unwrap()["p"].data, [r[0] + r[1]]);
}

#[test]
fn wrong_custom_gradients_name_the_culprit() {
    let cases = [
        ("[[4, 0], [3, 0]]", "[[4, 0], [9, 0]]", "is wrong: node 5 at 'layer' refers to output 0 of node 9"),
        (
            r#"{ "fill": { "value": 2.0, "shape": [] } }"#,
            r#"{ "state": { "path": "tau", "shape": [], "kind": "parameter", "init": { "constant": 0.0 } } }"#,
            "reads the state 'tau', which the model does not have",
        ),
        (
            r#"{ "fill": { "value": 2.0, "shape": [] } }"#,
            r#"{ "state": { "path": "w", "shape": [], "kind": "parameter", "init": { "constant": 0.0 } } }"#,
            "is wrong: node 2 at 'layer' has the state 'w' in another form than before",
        ),
    ];
    let refusal = |spec: GraphSpec| {
        codes_net(&[0.5], false, Surrogate::Custom(Box::new(spec)), &[]).0.gradients(&["x"]).unwrap_err()
    };
    for (right, wrong, message) in cases {
        assert!(POLYNOMIAL.contains(right), "{right}");
        let GraphError::Spec(got) = refusal(spec(&POLYNOMIAL.replacen(right, wrong, 1))) else { panic!("{wrong}") };
        assert!(got.starts_with("the custom gradient of sign at 'layer' "), "{got}");
        assert!(got.contains(message), "{wrong}: {got}");
    }
    // A number, and a mask.
    for (output, got) in [("[2, 0]", "f32[]"), ("[8, 0]", "bit(step)[1,1,1,1]")] {
        let json = POLYNOMIAL
            .replace(
                r#"{ "arithmetic": { "function": "mul" } }, "inputs": [[1, 0], [7, 0]]"#,
                r#"{ "compare": { "comparison": "less" } }, "inputs": [[1, 0], [7, 0]]"#,
            )
            .replace(r#""dx": [8, 0]"#, &format!(r#""dx": {output}"#));
        let expected = "a custom gradient dx f32[1,1,1,1], of x's shape".to_owned();
        let shape = GraphError::Shape { op: "sign", path: "layer".to_owned(), expected, got: got.to_owned() };
        assert_eq!(refusal(spec(&json)), shape);
    }
}

/// What a spec alone tells is refused before anything is differentiated.
#[test]
fn impossible_custom_gradients_are_no_part_of_a_graph() {
    let abs = r#"{ "op": { "unary": { "function": "abs" } }, "inputs": [[0, 0]] }"#;
    let only = "a custom gradient that yields 'dx' and nothing else";
    let cases = [
        (r#""dx": [8, 0]"#, r#""dy": [8, 0]"#, only, "the outputs: 'dy'"),
        (r#""dx": [8, 0]"#, "", only, "the outputs: none"),
        (r#""dx": [8, 0]"#, r#""dx": [8, 0], "z": [8, 0]"#, only, "the outputs: 'dx', 'z'"),
        (r#""name": "g""#, r#""name": "dy""#, "a custom gradient of the inputs x, g", "the input 'dy'"),
        (
            abs,
            r#"{ "op": { "increment": {} }, "inputs": [[0, 0]] }"#,
            "a custom gradient that writes no state",
            "increment",
        ),
        (
            abs,
            r#"{ "op": { "dropout": { "p": 0.5, "stream": 1 } }, "inputs": [[0, 0]] }"#,
            "a custom gradient without what differs between training and evaluation",
            "dropout",
        ),
        (
            abs,
            r#"{ "op": { "batch_norm": { "eps": 1e-5, "momentum": 0.1 } }, "inputs": [[0, 0]] }"#,
            "a custom gradient without what differs between training and evaluation",
            "batch_norm",
        ),
        (r#""version": 1"#, r#""version": 2"#, "a custom gradient of version 1", "version 2"),
    ];
    for (right, wrong, expected, got) in cases {
        assert!(POLYNOMIAL.contains(right), "{right}");
        let spec: GraphSpec = serde_json::from_str(&POLYNOMIAL.replacen(right, wrong, 1)).unwrap();
        let ops = [
            Op::from(Sign { gradient: Surrogate::Custom(Box::new(spec.clone())), groups: 1 }),
            Step { gradient: Surrogate::Custom(Box::new(spec.clone())), groups: 1 }.into(),
            BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Custom(Box::new(spec)), groups: 1 }
                .into(),
        ];
        for op in ops {
            let mut net = Net::new();
            let x = net.state("x", &[1, 1, 1, 1]);
            let name = op.name();
            let error = net.graph.add(op, &[x], "layer").unwrap_err();
            let (path, expected, got) = ("layer".to_owned(), expected.to_owned(), got.to_owned());
            assert_eq!(error, GraphError::Shape { op: name, path, expected, got });
        }
    }
}

/// The gradient of q by means of an identity, and that of w by means of `gradient`, with a convolution of some inputs around.
fn weight_gradients(w: &Tensor, scale: WeightScale, gradient: WeightGradient, groups: usize) -> (Tensor, Tensor) {
    let through = |gradient| {
        let mut net = Net::new();
        let x = net.state("x", &[2, 3, 4, groups * w.shape[1]]);
        let codes = net.op(Sign { gradient: Surrogate::Identity, groups }, &[x]);
        let latent = net.state_of("w", &w.shape, w.data.clone());
        let q = net.ops(BinarizeWeight { scale, gradient, groups }, &[latent]);
        let window = Window { kernel: [w.shape[2], w.shape[3]], ..Window::square(1, 1, 1) };
        let y = net.op(BinaryConv2d { window, pad_value: 0 }, &[codes, q[0], q[1]]);
        net.loss(y);
        net.gradients(&["w"]).unwrap()["w"].clone()
    };
    (through(WeightGradient::Identity), through(gradient))
}

/// The rule for one weight, from those that share its α.
fn weight_rule(gradient: &WeightGradient, scale: WeightScale, part: &[(f64, f64)], (w, dq): (f64, f64)) -> f64 {
    let n = part.len() as f64;
    let sign = |w: f64| if w < 0.0 { -1.0 } else { 1.0 };
    let scaled = scale != WeightScale::None;
    let alpha = if scaled { part.iter().map(|(w, _)| w.abs()).sum::<f64>() / n } else { 1.0 };
    let through_scale = if scaled { sign(w) / n * part.iter().map(|&(w, dq)| dq * sign(w)).sum::<f64>() } else { 0.0 };
    match gradient {
        WeightGradient::Identity => dq,
        WeightGradient::Clip => dq * inside(w),
        WeightGradient::Magnitude => alpha * dq * inside(w),
        WeightGradient::Xnor => through_scale + alpha * dq * inside(w),
        WeightGradient::Custom(_) => dq * polynomial(w),
    }
}

#[test]
fn weight_gradients_point_by_point() {
    let points: Vec<f64> = POINTS.into_iter().filter(|w| w.abs() <= 150.0).collect();
    for (o, c, kernel, groups) in
        [(points.len(), 1, [1, 1], 1), (6, 5, [3, 3], 2), (4, 3, [1, 2], 4), (1, 70, [1, 1], 1)]
    {
        let n = c * kernel[0] * kernel[1];
        // Points and, between them, numbers of no pattern.
        let number =
            |i: usize| if i.is_multiple_of(3) { points[i / 3 % points.len()] } else { (i as f64 * 0.7).sin() * 1.5 };
        let number = |i: usize| if n == 1 { points[i] } else { number(i) };
        let w = Tensor::new([o, c, kernel[0], kernel[1]], (0..o * n).map(number).collect());
        for scale in SCALES {
            let share = match scale {
                WeightScale::None | WeightScale::Tensor => o * n,
                WeightScale::Group => o / groups * n,
                WeightScale::Channel => n,
            };
            for gradient in [
                WeightGradient::Identity,
                WeightGradient::Clip,
                WeightGradient::Magnitude,
                WeightGradient::Xnor,
                WeightGradient::Custom(Box::new(spec(POLYNOMIAL))),
            ] {
                let (dq, dw) = weight_gradients(&w, scale, gradient.clone(), groups);
                let pairs: Vec<_> = w.data.iter().copied().zip(dq.data).collect();
                for (i, &pair) in pairs.iter().enumerate() {
                    let part = &pairs[i / share * share..][..share];
                    let expected = weight_rule(&gradient, scale, part, pair);
                    // Both are computed in f64, in another order.
                    assert!(
                        (dw.data[i] - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
                        "{gradient:?} {scale:?} {groups} groups at w = {}: {}, not {expected}",
                        pair.0,
                        dw.data[i]
                    );
                }
            }
        }
    }
}
