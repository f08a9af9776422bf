//! Optimizers and the clipping of gradients against `PyTorch`, both in f64: `parity/optimizer-runs.json`.

use std::collections::BTreeMap;
use std::path::Path;

use binary_nets_conformance::Tensor;
use binary_nets_conformance::reference::{Randomness, evaluate};
use binary_nets_graph::ops::{State, StateKind};
use binary_nets_graph::passes::{Update, UpdateRule, attach_updates, clip_gradients};
use binary_nets_graph::{Graph, Init, Meaning, Value};
use serde::Deserialize;

/// What `parity/make_optimizer_runs.py` writes.
#[derive(Deserialize)]
struct Stored {
    initial: Vec<f64>,
    /// Of each step.
    gradients: Vec<Vec<f64>>,
    runs: Vec<Run>,
    /// Gradients of two parameters.
    pair: Vec<Vec<f64>>,
    clips: Vec<Clip>,
}

#[derive(Deserialize)]
struct Run {
    rule: UpdateRule,
    lr: f64,
    /// After each step.
    weights: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Clip {
    max_norm: f32,
    gradients: Vec<Vec<f64>>,
}

fn stored() -> Stored {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/optimizer-runs.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn state(graph: &mut Graph, path: &str, len: usize) -> Value {
    let state = State {
        path: path.to_owned(),
        shape: [len].into(),
        kind: StateKind::Parameter,
        init: Init::Constant(0.0),
        meaning: Meaning::F32,
    };
    graph.add_one(state, &[], "").unwrap()
}

fn vector(data: &[f64]) -> Tensor {
    Tensor::new([data.len()], data.to_vec())
}

/// Both compute in f64; what they compute is small.
#[track_caller]
fn assert_near(what: &str, got: &[f64], expected: &[f64]) {
    let near = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-12);
    assert!(near, "{what}: {got:?}, but PyTorch has {expected:?}");
}

#[test]
fn optimizers_take_the_steps_that_pytorch_takes() {
    let stored = stored();
    assert!(stored.runs.len() > 16 && stored.gradients.len() == 5);
    for Run { rule, lr, weights } in &stored.runs {
        let what = serde_json::to_string(rule).unwrap();
        let mut graph = Graph::new(1);
        let len = stored.initial.len();
        state(&mut graph, "w", len);
        let g = state(&mut graph, "g", len);
        let update = Update { path: "w".to_owned(), rule: rule.clone(), lr: "rate".to_owned() };
        attach_updates(&mut graph, &[("w".to_owned(), g)], None, &[update]).unwrap();

        let zeros = vec![0.0; len];
        let mut given: BTreeMap<String, Tensor> = ["w#velocity", "w#m", "w#v", "w#vmax", "w#momentum"]
            .map(|moment| (moment.to_owned(), vector(&zeros)))
            .into();
        given.extend([("rate".to_owned(), Tensor::number(*lr)), ("w#t".to_owned(), Tensor::number(0.0))]);
        given.insert("w".to_owned(), vector(&stored.initial));
        for (step, (gradient, expected)) in stored.gradients.iter().zip(weights).enumerate() {
            given.insert("g".to_owned(), vector(gradient));
            given.extend(evaluate(&graph, &given, Randomness::default()).unwrap().states);
            assert_near(&format!("{what}, step {step}"), &given["w"].data, expected);
        }
    }
}

#[test]
fn gradients_are_clipped_as_pytorch_clips_them() {
    let stored = stored();
    for Clip { max_norm, gradients } in &stored.clips {
        let mut graph = Graph::new(1);
        let given = ["a", "b"].into_iter().zip(&stored.pair);
        let raw: Vec<(String, Value)> =
            given.clone().map(|(path, data)| (path.to_owned(), state(&mut graph, path, data.len()))).collect();
        let (clipped, norm) = clip_gradients(&mut graph, &raw, *max_norm).unwrap();
        let given = given.map(|(path, data)| (path.to_owned(), vector(data))).collect();
        let evaluation = evaluate(&graph, &given, Randomness::default()).unwrap();
        let all = stored.pair.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        assert_near("norm", &evaluation.value(norm).data, &[all]);
        for ((path, value), expected) in clipped.iter().zip(gradients) {
            assert_near(&format!("{path} clipped to {max_norm}"), &evaluation.value(*value).data, expected);
        }
    }
}
