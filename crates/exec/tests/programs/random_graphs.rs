//! Random graphs: every plan verifies, and memory that is shared over time gives the results of memory that is not.

use std::collections::HashMap;

use binary_nets_exec::{MemoryPolicy, thrifty};
use binary_nets_graph::ops::{
    Arithmetic, Concat, Fill, Input, Relu, Scalar, Sgd, Slice, State, StateKind, Unary, UnaryFunction,
};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value};
use proptest::prelude::*;

use crate::backend::{Planned, Vectors, evaluate};

/// What to append: the kind of node, two operands among the values so far.
type Choice = (u8, usize, usize);

/// The longest vector; several times the alignment, so that slots differ in size.
const LONGEST: usize = 1500;

fn state(path: String, n: usize) -> Op {
    State { path, shape: [n].into(), kind: StateKind::Parameter, init: Init::Constant(0.0), meaning: Meaning::F32 }
        .into()
}

/// Vectors of 64 elements joined, cut and added in any order; up to `updates` states that some of them update.
fn build(choices: &[Choice], outputs: &[usize], updates: bool) -> Graph {
    let mut graph = Graph::new(64);
    let leaf = |graph: &mut Graph, op: Op| graph.add_one(op, &[], "").unwrap();
    let input = |name: &str| Input { name: name.to_owned(), shape: [].into(), meaning: Meaning::F32 }.into();
    let mut values = vec![leaf(&mut graph, input("x")), leaf(&mut graph, input("y"))];
    values.push(leaf(&mut graph, state("p".to_owned(), 64)));
    let lr = leaf(&mut graph, Scalar { name: "lr".to_owned() }.into());
    let length = |graph: &Graph, v: Value| graph.meta(v).shape.elements();
    for (i, &(kind, a, b)) in choices.iter().enumerate() {
        let (a, b) = (values[a % values.len()], values[b % values.len()]);
        let (n, m) = (length(&graph, a), length(&graph, b));
        let path = format!("node{i}");
        let (op, inputs): (Op, Vec<Value>) = match kind % 7 {
            0 => (Relu {}.into(), vec![a]),
            1 if n == m => (Arithmetic::MUL.into(), vec![a, b]),
            2 if n > 1 => (Slice { axis: 0, start: n / 3, end: n - n / 4 }.into(), vec![a]),
            3 => (Fill { value: i as f32, shape: [n].into() }.into(), Vec::new()),
            4 if updates => {
                let w = leaf(&mut graph, state(path.clone(), n));
                let sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None };
                graph.add(sgd, &[w, a, lr], &path).unwrap();
                (Arithmetic::ADD.into(), vec![a, w])
            }
            _ if n == m => (Arithmetic::ADD.into(), vec![a, b]),
            _ if n + m <= LONGEST => (Concat { axis: 0 }.into(), vec![a, b]),
            _ => (Unary { function: UnaryFunction::Neg }.into(), vec![a]),
        };
        values.push(graph.add_one(op, &inputs, &path).unwrap());
    }
    for (i, &v) in outputs.iter().enumerate() {
        graph.set_output(&format!("out{i}"), values[v % values.len()]);
    }
    graph
}

/// Numbers for a leaf that differ from leaf to leaf and from element to element, small enough to stay finite for long.
fn numbers(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 31 + seed * 17) % 13) as f32 / 8.0 - 0.75).collect()
}

/// Bits, because products may become NaN.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Checks that `planned` yields what `graph` does.
fn check(graph: &Graph, planned: &Graph, repeat: usize) -> Result<(), TestCaseError> {
    let planned = Planned::new(planned, repeat).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let mut leaves = vec![HashMap::new(); repeat];
    for (i, node) in graph.nodes().iter().enumerate().filter(|(_, n)| n.op.is_leaf()) {
        let n = graph.meta(node.outputs[0]).shape.elements();
        for (repetition, leaves) in leaves.iter_mut().enumerate() {
            let (name, data) = match &node.op {
                Op::State(state) => {
                    planned.set_state(&state.path, &numbers(i, n));
                    (&state.path, numbers(i, n))
                }
                Op::Input(Input { name, .. }) | Op::Scalar(Scalar { name }) => {
                    let data = numbers(i + 100 * repetition, n);
                    planned.set_input(name, repetition, &data);
                    (name, data)
                }
                _ => unreachable!("a leaf"),
            };
            leaves.insert(name.clone(), data);
        }
    }
    planned.run();
    for (repetition, leaves) in leaves.iter().enumerate() {
        let (values, states) = evaluate(graph, leaves);
        for (name, value) in graph.outputs() {
            // An output that is a state shows it as the updates leave it, in both.
            prop_assert_eq!(bits(&planned.output(name, repetition)), bits(&values[value.index()]), "{}", name);
        }
        for (path, expected) in states {
            prop_assert_eq!(bits(&planned.state(&path)), bits(&expected), "{}", path);
        }
    }
    Ok(())
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((any::<u8>(), 0..1000usize, 0..1000usize), 0..40)
}

proptest! {
    #[test]
    fn planned_memory_gives_the_results_of_separate_memory(
        choices in choices(), outputs in prop::collection::vec(0..1000usize, 0..4)
    ) {
        let graph = build(&choices, &outputs, true);
        check(&graph, &graph, 1)?;
    }

    #[test]
    fn what_comes_later_or_again_gives_the_same_results(
        choices in choices(), outputs in prop::collection::vec(0..1000usize, 0..4)
    ) {
        let graph = build(&choices, &outputs, true);
        for policy in [MemoryPolicy::Speed, MemoryPolicy::Balanced, MemoryPolicy::Min] {
            check(&graph, &thrifty(&Vectors, &graph, policy).unwrap(), 1)?;
        }
    }

    #[test]
    fn what_comes_later_or_again_never_needs_more_memory(
        choices in choices(), outputs in prop::collection::vec(0..1000usize, 0..4)
    ) {
        let graph = build(&choices, &outputs, true);
        let bytes = |graph: &Graph| Planned::new(graph, 1).unwrap().program.workspace_bytes();
        for policy in [MemoryPolicy::Speed, MemoryPolicy::Balanced, MemoryPolicy::Min] {
            prop_assert!(bytes(&thrifty(&Vectors, &graph, policy).unwrap()) <= bytes(&graph), "{:?}", policy);
        }
    }

    #[test]
    fn repetitions_give_the_results_of_single_runs(
        choices in choices(), outputs in prop::collection::vec(0..1000usize, 0..4), repeat in 1..4usize
    ) {
        let graph = build(&choices, &outputs, false);
        check(&graph, &graph, repeat)?;
    }
}
