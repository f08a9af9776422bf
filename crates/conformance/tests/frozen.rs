//! The roundings that are part of the meaning of frozen ops, by hand; and folding against what is folded.

use std::collections::BTreeMap;

use binary_nets_conformance::reference::{Evaluation, Randomness, evaluate};
use binary_nets_conformance::{Random, Tensor};
use binary_nets_graph::ops::{
    Affine, Arithmetic, BatchNormInference, BinarizeWeight, BinaryConv2d, Border, Conv2d, CountCorrect, FoldStem,
    Input, NegativeGradient, NormalizeImage, Relu, Sign, State, StateKind, Surrogate, TernarizeWeight, TernaryAffine,
    TernaryConv2d, WeightGradient, WeightScale,
};
use binary_nets_graph::passes::freeze;
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, Window};

type Given = BTreeMap<String, Tensor>;

fn state(graph: &mut Graph, given: &mut Given, path: &str, shape: &[usize], data: Vec<f64>) -> Value {
    given.insert(path.to_owned(), Tensor::new(shape, data));
    let state = State {
        path: path.to_owned(),
        shape: shape.into(),
        kind: StateKind::Parameter,
        init: Init::Constant(0.0),
        meaning: Meaning::F32,
    };
    graph.add_one(state, &[], "").unwrap()
}

fn run(graph: &Graph, given: &Given) -> Evaluation {
    evaluate(graph, given, Randomness::default()).unwrap()
}

#[test]
fn an_affine_rounds_its_product_and_then_its_sum() {
    let ulp = f64::from(f32::EPSILON);
    // (1 + 2⁻²³)² = 1 + 2⁻²² + 2⁻⁴⁶, and rounding drops the last term; minus the rest nothing is left, where a fused operation leaves 2⁻⁴⁶.
    let (x, a, c) = (1.0 + ulp, 1.0 + ulp, -(1.0 + 2.0 * ulp));
    let (mut graph, mut given) = (Graph::new(1), Given::new());
    let inputs =
        [("x", x), ("a", a), ("c", c)].map(|(path, number)| state(&mut graph, &mut given, path, &[1], vec![number]));
    let y = graph.add_one(Affine { border: None }, &inputs, "").unwrap();
    assert_eq!(run(&graph, &given).value(y).data, [0.0]);

    // 2²⁴ + 1 is no f32: it rounds to even before it is multiplied.
    given.insert("x".to_owned(), Tensor::new([1], vec![16_777_217.0]));
    given.insert("a".to_owned(), Tensor::new([1], vec![1.0]));
    given.insert("c".to_owned(), Tensor::new([1], vec![-16_777_216.0]));
    assert_eq!(run(&graph, &given).value(y).data, [0.0]);
}

#[test]
fn stem_weights_round_half_to_even_and_scale_to_the_largest() {
    let (mut graph, mut given) = (Graph::new(1), Given::new());
    // With std 1/255 the weights are v itself; the largest is 32767, so the scale is 1.
    let w = state(
        &mut graph,
        &mut given,
        "w",
        &[2, 1, 1, 6],
        vec![32767.0, 0.5, 1.5, -2.5, -3.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    );
    let border = Border { window: Window { kernel: [1, 6], ..Window::square(1, 1, 0) }, input: [1, 6] };
    let fold = graph
        .add(FoldStem { border, mean: vec![0.5], std: vec![1.0 / 255.0], largest: 32767, steps: Vec::new() }, &[w], "")
        .unwrap();
    let evaluation = run(&graph, &given);
    assert_eq!(evaluation.value(fold[0]).data, [32767.0, 0.0, 2.0, -2.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(evaluation.value(fold[1]).data, [1.0, 0.0]);
    assert_eq!(evaluation.value(fold[2]).data, [-(32767.0 + 2.0 - 2.0 - 4.0) * 127.5, 0.0]);
}

#[test]
fn of_equal_logits_the_first_counts_as_larger() {
    let mut graph = Graph::new(3);
    let mut given = Given::from([("label".to_owned(), Tensor::new([3], vec![0.0, 1.0, 2.0]))]);
    let logits = state(&mut graph, &mut given, "logits", &[3, 3], [5.0, 5.0, 5.0].repeat(3));
    let label = graph
        .add_one(Input { name: "label".to_owned(), shape: [].into(), meaning: Meaning::Index { classes: 3 } }, &[], "")
        .unwrap();
    for (k, hits) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        let y = graph.add_one(CountCorrect { k }, &[logits, label], "").unwrap();
        assert_eq!(run(&graph, &given).value(y).data, [hits]);
    }
}

/// A normalised image through a stem, a norm, a sign and a binary convolution with its norm: the fold and the run of the frozen graph agree with the
/// unfolded one, but for the stem's i16 weights — a relative 2⁻¹⁶ each — and signs of numbers so small.
#[test]
fn a_frozen_graph_computes_what_it_was_frozen_from() {
    let (n, o) = (3, 6);
    let window = Window::square(3, 1, 1);
    let (mut graph, mut given) = (Graph::new(n), Given::new());
    let mut random = Random::new(5);
    let image = graph
        .add_one(
            Input { name: "image".to_owned(), shape: [6, 5, 3].into(), meaning: Meaning::Int { min: 0, max: 255 } },
            &[],
            "",
        )
        .unwrap();
    given
        .insert("image".to_owned(), Tensor::new([n, 6, 5, 3], (0..n * 90).map(|_| random.below(256) as f64).collect()));
    let mut numbers = |shape: &[usize]| (0..shape.iter().product()).map(|_| random.number()).collect::<Vec<f64>>();
    let mut norm = |graph: &mut Graph, given: &mut Given, layer: &str| {
        ["weight", "bias", "running_mean", "running_var"].map(|part| {
            let data = numbers(&[o]).into_iter().map(|x| if part == "running_var" { 1.5 + x } else { x }).collect();
            state(graph, given, &format!("{layer}.{part}"), &[o], data)
        })
    };
    let x = graph
        .add_one(NormalizeImage { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }, &[image], "")
        .unwrap();
    let norm1 = norm(&mut graph, &mut given, "bn1");
    let norm2 = norm(&mut graph, &mut given, "bn2");
    let w1 = state(&mut graph, &mut given, "stem.weight", &[o, 3, 3, 3], numbers(&[o, 3, 3, 3]));
    let w2 = state(&mut graph, &mut given, "conv.weight", &[o, o, 3, 3], numbers(&[o, o, 3, 3]));
    let stem = graph.add_one(Conv2d { window, groups: 1 }, &[x, w1], "stem").unwrap();
    let h = graph.add_one(BatchNormInference { eps: 1e-5 }, &[&[stem], &norm1[..]].concat(), "bn1").unwrap();
    let codes = graph.add_one(Sign { gradient: Surrogate::Approx, groups: 1 }, &[h], "conv").unwrap();
    let q = graph
        .add(
            BinarizeWeight { scale: WeightScale::Channel, gradient: WeightGradient::Identity, groups: 1 },
            &[w2],
            "conv",
        )
        .unwrap();
    let d = graph.add_one(BinaryConv2d { window, pad_value: 0 }, &[codes, q[0], q[1]], "conv").unwrap();
    let y = graph.add_one(BatchNormInference { eps: 1e-5 }, &[&[d], &norm2[..]].concat(), "bn2").unwrap();
    let y = graph.add_one(Relu {}, &[y], "relu").unwrap();
    graph.set_output("h", h);
    graph.set_output("codes", codes);
    graph.set_output("y", y);

    let frozen = freeze(&graph).unwrap();
    let folded = run(&frozen.fold, &given);
    let mut constants: Given =
        frozen.fold.outputs().iter().map(|(name, v)| (name.clone(), folded.value(*v).clone())).collect();
    constants.insert("image".to_owned(), given["image"].clone());
    let (unfolded, ran) = (run(&graph, &given), run(&frozen.run, &constants));
    let both = |name: &str| {
        let frozen = ran.value(frozen.run.output(name).unwrap());
        frozen
            .data
            .iter()
            .zip(&unfolded.value(graph.output(name).unwrap()).data)
            .map(|(&a, &b)| (a, b))
            .collect::<Vec<_>>()
    };
    // 27 products of numbers up to 3 with weights up to 1, each weight half of 1/32767 off, then a factor of up to 1.5.
    let close = |(frozen, unfolded): (f64, f64)| (frozen - unfolded).abs() <= 27.0 * 3.0 / 65534.0 * 1.5;
    assert!(both("h").into_iter().all(close), "{:?}", both("h").into_iter().find(|&pair| !close(pair)));
    // The seed keeps every h away from 0, so all codes agree and y differs by f32 rounding alone.
    assert!(both("codes").into_iter().all(|(frozen, unfolded)| frozen == unfolded));
    assert!(both("y").into_iter().all(|(frozen, unfolded)| (frozen - unfolded).abs() <= 1e-5));
}

#[test]
fn a_ternary_affine_rounds_every_step() {
    let ulp = f64::from(f32::EPSILON);
    let (mut graph, mut given) = (Graph::new(1), Given::new());
    let integers = Meaning::Int { min: -9, max: 9 };
    let sums = [("d_p", 3.0), ("d_n", 1.0)].map(|(path, number)| {
        given.insert(path.to_owned(), Tensor::new([1], vec![number]));
        let kind = StateKind::Constant;
        let init = Init::Constant(0.0);
        graph
            .add_one(State { path: path.to_owned(), shape: [1].into(), kind, init, meaning: integers }, &[], "")
            .unwrap()
    });
    // 3·(1 + 2⁻²³) = 3 + 3·2⁻²³ lies between two f32, 3 + 2⁻²² and 3 + 2⁻²¹, and goes to the even one, 3 + 2⁻²¹.
    let constants = [("a_p", 1.0 + ulp), ("a_n", 3.0), ("c", -ulp)];
    let constants = constants.map(|(path, number)| state(&mut graph, &mut given, path, &[1], vec![number]));
    let y = graph.add_one(TernaryAffine {}, &[&sums[..], &constants[..]].concat(), "").unwrap();
    assert_eq!(run(&graph, &given).value(y).data, [4.0 * ulp - ulp]);
}

/// What a run of constants stands behind.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Start {
    Floats,
    Binary,
    Ternary,
    Stem,
}

/// One constant of a run.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Link {
    Norm,
    /// By a number for all.
    One,
    /// By a number for each channel.
    Each,
}

/// A graph that ends in a run of constants, and what its leaves hold.
fn run_of(start: Start, links: &[Link]) -> (Graph, Given) {
    let (n, o) = (2, 6);
    let (mut graph, mut given) = (Graph::new(n), Given::new());
    let mut random = Random::new(23);
    let window = Window::square(3, 1, 1);
    let (meaning, c) = if start == Start::Stem { (Meaning::Int { min: 0, max: 255 }, 3) } else { (Meaning::F32, o) };
    let input = Input { name: "x".to_owned(), shape: [6, 5, c].into(), meaning };
    let x = graph.add_one(input, &[], "").unwrap();
    let numbers = (0..n * 30 * c).map(|_| if c == 3 { random.below(256) as f64 } else { random.number() });
    given.insert("x".to_owned(), Tensor::new([n, 6, 5, c], numbers.collect()));
    let mut leaf = |graph: &mut Graph, path: &str, shape: &[usize], positive: bool| {
        let numbers = (0..shape.iter().product()).map(|_| random.number() + if positive { 1.5 } else { 0.0 });
        state(graph, &mut given, path, shape, numbers.collect())
    };
    let mut y = match start {
        Start::Floats => x,
        Start::Binary => {
            let codes = graph.add_one(Sign { gradient: Surrogate::Clip, groups: 1 }, &[x], "conv").unwrap();
            let w = leaf(&mut graph, "conv.weight", &[o, o, 3, 3], false);
            let (scale, gradient) = (WeightScale::Channel, WeightGradient::Clip);
            let q = graph.add(BinarizeWeight { scale, gradient, groups: 1 }, &[w], "conv").unwrap();
            graph.add_one(BinaryConv2d { window, pad_value: 0 }, &[codes, q[0], q[1]], "conv").unwrap()
        }
        Start::Ternary => {
            let codes = graph.add_one(Sign { gradient: Surrogate::Clip, groups: 1 }, &[x], "conv").unwrap();
            let w = leaf(&mut graph, "conv.weight", &[o, o, 3, 3], false);
            let [p, n] = ["conv.p", "conv.n"].map(|path| leaf(&mut graph, path, &[1], true));
            let negative_gradient = NegativeGradient::Exact;
            let ternarize = TernarizeWeight { threshold: 0.3, negative_gradient };
            let q = graph.add(ternarize, &[w, p, n], "conv").unwrap();
            graph.add_one(TernaryConv2d { window, pad_value: 0 }, &[codes, q[0], q[1], p, n], "conv").unwrap()
        }
        Start::Stem => {
            let normalize = NormalizeImage { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] };
            let x = graph.add_one(normalize, &[x], "").unwrap();
            let w = leaf(&mut graph, "conv.weight", &[o, 3, 3, 3], false);
            graph.add_one(Conv2d { window, groups: 1 }, &[x, w], "conv").unwrap()
        }
    };
    graph.set_output("start", y);
    for (i, link) in links.iter().enumerate() {
        let path = format!("link{i}");
        let mut constant = |graph: &mut Graph, part: &str, shape: &[usize]| {
            leaf(graph, &format!("{path}.{part}"), shape, part == "var")
        };
        y = match link {
            Link::Norm => {
                let norm = ["weight", "bias", "mean", "var"].map(|part| constant(&mut graph, part, &[o]));
                graph.add_one(BatchNormInference { eps: 1e-5 }, &[&[y], &norm[..]].concat(), &path).unwrap()
            }
            Link::One => {
                let factor = constant(&mut graph, "factor", &[1]);
                graph.add_one(Arithmetic::MUL, &[y, factor], &path).unwrap()
            }
            Link::Each => {
                let factor = constant(&mut graph, "factor", &[o]);
                graph.add_one(Arithmetic::MUL, &[factor, y], &path).unwrap()
            }
        };
    }
    graph.set_output("y", y);
    (graph, given)
}

/// The frozen affine differs from the unfolded steps by the rounding of two or three products and sums, and of a and c; of a stem also by its i16 weights,
/// each half of 1/32767 of the largest off, 27 of them under numbers up to 3.
#[test]
fn runs_of_constants_fold_to_what_they_compute() {
    let runs: [&[Link]; 7] = [
        &[],
        &[Link::Norm],
        &[Link::Each],
        &[Link::One, Link::Norm],
        &[Link::Norm, Link::Each],
        &[Link::Norm, Link::One, Link::Each, Link::Norm],
        &[Link::Each, Link::Norm, Link::Norm, Link::One],
    ];
    for start in [Start::Floats, Start::Binary, Start::Ternary, Start::Stem] {
        for links in runs {
            let (graph, mut given) = run_of(start, links);
            let unfolded = run(&graph, &given);
            let frozen = freeze(&graph).unwrap();
            let folded = run(&frozen.fold, &given);
            given.extend(frozen.fold.outputs().iter().map(|(name, v)| (name.clone(), folded.value(*v).clone())));
            let ran = run(&frozen.run, &given);

            let affine = frozen.run.producer(frozen.run.output("y").unwrap());
            let products = match affine.op {
                Op::Affine(_) => vec![(0, 1)],
                Op::TernaryAffine(_) => vec![(0, 2), (1, 3)],
                _ => {
                    assert!(start == Start::Floats && links.len() <= 1, "{start:?} {links:?} is not folded");
                    vec![]
                }
            };
            let value = |i: usize| ran.value(affine.inputs[i]);
            let slope = |output: &str, o: usize| {
                ran.value(frozen.run.producer(frozen.run.output(output).unwrap()).inputs[1]).data[o].abs()
            };
            let (got, expected) = (ran.value(affine.outputs[0]), unfolded.value(graph.output("y").unwrap()));
            for (i, (got, expected)) in got.data.iter().zip(&expected.data).enumerate() {
                let o = i % 6;
                let terms = products.iter().map(|&(d, a)| (value(d).data[i] * value(a).data[o]).abs()).sum::<f64>();
                let offset = affine.inputs.last().filter(|_| !products.is_empty()).map_or(0.0, |&c| {
                    // Of a stem, whichever border case has the largest.
                    ran.value(c).data.iter().skip(o).step_by(6).fold(0.0, |max: f64, c| max.max(c.abs()))
                });
                let stem =
                    if start == Start::Stem { 27.0 * 3.0 / 65534.0 * slope("y", o) / slope("start", o) } else { 0.0 };
                let tolerance = 2.0 * f64::from(f32::EPSILON) * (terms + offset + expected.abs()) + stem;
                assert!((got - expected).abs() <= tolerance, "{start:?} {links:?}, {i}: {got} for {expected}");
            }
        }
    }
}
