//! Thousands of constants of one name, as in a graph without paths: told apart in no time. A search among the others for each, name by name, takes hours.

use std::collections::HashSet;

use binary_nets_graph::ops::{Arithmetic, BatchNormInference, Input, Relu, State, StateKind};
use binary_nets_graph::passes::{freeze, precompute};
use binary_nets_graph::{Graph, Init, Meaning, Value};

const COUNT: usize = 8000;

fn input(graph: &mut Graph) -> Value {
    let input = Input { name: "x".to_owned(), shape: [2].into(), meaning: Meaning::F32 };
    graph.add_one(input, &[], "").unwrap()
}

fn state(graph: &mut Graph) -> Value {
    let (path, kind, init) = ("s".to_owned(), StateKind::Constant, Init::Constant(0.0));
    graph.add_one(State { path, shape: [2].into(), kind, init, meaning: Meaning::F32 }, &[], "").unwrap()
}

/// The first names of the outputs, all of which differ.
fn names(fold: &Graph) -> [&str; 6] {
    let names: HashSet<&String> = fold.outputs().iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), COUNT);
    std::array::from_fn(|i| fold.outputs()[i].0.as_str())
}

#[test]
fn of_a_frozen_graph() {
    let mut graph = Graph::new(1);
    let (mut x, s) = (input(&mut graph), state(&mut graph));
    for _ in 0..COUNT / 2 {
        x = graph.add_one(BatchNormInference { eps: 0.1 }, &[x, s, s, s, s], "").unwrap();
        x = graph.add_one(Relu {}, &[x], "").unwrap();
    }
    graph.set_output("x", x);
    let frozen = freeze(&graph).unwrap();
    assert_eq!(names(&frozen.fold), [".a", ".c", ".a'", ".c'", ".a'3", ".c'3"]);
}

#[test]
fn of_what_is_computed_once() {
    let mut graph = Graph::new(1);
    let (mut x, s) = (input(&mut graph), state(&mut graph));
    for _ in 0..COUNT {
        let constant = graph.add_one(Relu {}, &[s], "").unwrap();
        x = graph.add_one(Arithmetic::ADD, &[x, constant], "").unwrap();
    }
    graph.set_output("x", x);
    let frozen = precompute(&graph).unwrap();
    assert_eq!(names(&frozen.fold), [".relu", ".relu'", ".relu'3", ".relu'4", ".relu'5", ".relu'6"]);
}
