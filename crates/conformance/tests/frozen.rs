//! The roundings that are part of the meaning of frozen ops, by hand; and folding against what is folded.

use std::collections::BTreeMap;

use binary_nets_conformance::reference::{Evaluation, Randomness, evaluate};
use binary_nets_conformance::{Random, Tensor};
use binary_nets_graph::ops::{
    Affine, BatchNormInference, BinarizeWeight, BinaryConv2d, Border, Conv2d, CountCorrect, FoldStem, Input,
    NormalizeImage, Relu, Sign, State, StateKind, Surrogate, WeightGradient, WeightScale,
};
use binary_nets_graph::passes::freeze;
use binary_nets_graph::{Graph, Init, Meaning, Value, Window};

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
    let fold = graph.add(FoldStem { border, mean: vec![0.5], std: vec![1.0 / 255.0], steps: Vec::new() }, &[w], "").unwrap();
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
