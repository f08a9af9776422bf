//! Every op in small graphs, for any backend to run.
//!
//! A backend's test runs each of the [`cases`] and compares what it got ([`Expected::check`]). Inputs are numbers that f32 holds, so that the
//! reference and the backend see the same ones; each op under test reads leaves and exact values only, so its error is its own.

mod binary;
mod builder;
mod convolution;
mod elementwise;
mod frozen;
mod fused;
mod layout;
mod norm;
mod optimizer;
mod pool;
mod sum;
mod ternary;

use std::collections::BTreeMap;

use binary_nets_graph::{Graph, Meaning, Node, Op, Shape, Value};

use crate::Tensor;
use crate::reference::{Evaluation, Randomness, classes, evaluate, terms};

/// The elements of a tensor as a backend's host writes and reads them, row-major in the logical shape.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    /// Of meaning `F32`.
    F32(Vec<f32>),
    /// Of meaning `Int` or `Index`.
    I64(Vec<i64>),
    /// Of meaning `Bit`: −1/+1 or 0/1, without padding to words.
    Codes(Vec<i8>),
}

impl Values {
    /// The elements as a meaning asks for them.
    pub fn from_numbers(meaning: Meaning, numbers: &[f64]) -> Self {
        match meaning {
            Meaning::F32 => Self::F32(numbers.iter().map(|&x| x as f32).collect()),
            Meaning::Int { .. } | Meaning::Index { .. } => Self::I64(numbers.iter().map(|&x| x as i64).collect()),
            Meaning::Bit { .. } => Self::Codes(numbers.iter().map(|&x| x as i8).collect()),
        }
    }

    /// The elements as numbers, if they are what a meaning asks for.
    pub fn numbers(&self, meaning: Meaning) -> Option<Vec<f64>> {
        match (self, meaning) {
            (Self::F32(data), Meaning::F32) => Some(data.iter().map(|&x| f64::from(x)).collect()),
            (Self::I64(data), Meaning::Int { .. } | Meaning::Index { .. }) => {
                Some(data.iter().map(|&x| x as f64).collect())
            }
            (Self::Codes(data), Meaning::Bit { .. }) => Some(data.iter().map(|&x| f64::from(x)).collect()),
            (Self::F32(_) | Self::I64(_) | Self::Codes(_), _) => None,
        }
    }
}

/// What the leaves of a graph hold before a step.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inputs {
    /// Inputs by name, states by path, scalars by name.
    pub tensors: BTreeMap<String, Values>,
    /// The seed and the step.
    pub randomness: Randomness,
}

/// What a backend computed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outputs {
    /// The graph's outputs by name.
    pub outputs: BTreeMap<String, Values>,
    /// The states that [`Case::states`] lists, by path, after the step.
    pub states: BTreeMap<String, Values>,
}

/// A small graph around one op, and what it is given.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The op, then what is special: `binary_conv2d/c65/3x3s2p1/…`.
    pub name: String,
    /// Its outputs, and the states it writes, are what is compared.
    pub graph: Graph,
    /// For every leaf.
    pub inputs: Inputs,
}

/// Where a compared result is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Output,
    State,
}

/// A result that is compared.
struct Target<'g> {
    place: Place,
    name: &'g str,
    value: Value,
    /// The node that computes it, and as which of its results.
    node: &'g Node,
    result: usize,
}

impl Case {
    /// The paths of the states that the graph writes, to be read back after the step.
    pub fn states(&self) -> Vec<&str> {
        self.targets().into_iter().filter(|target| target.place == Place::State).map(|target| target.name).collect()
    }

    fn targets(&self) -> Vec<Target<'_>> {
        let mut targets = Vec::new();
        for (name, value) in self.graph.outputs() {
            let (value, node) = (*value, self.graph.producer(*value));
            let results = node.outputs.iter().enumerate().filter(|&(_, v)| *v == value);
            targets.extend(results.map(|(result, _)| Target { place: Place::Output, name, value, node, result }));
        }
        for node in self.graph.nodes() {
            for (result, &position) in node.op.writes().iter().enumerate() {
                let value = node.inputs[position];
                let name = leaf_name(&self.graph.producer(value).op).unwrap_or_default();
                targets.push(Target { place: Place::State, name, value, node, result });
            }
        }
        targets
    }

    /// What the reference says.
    fn evaluate(&self) -> Result<Evaluation, String> {
        let mut given = BTreeMap::new();
        for node in self.graph.nodes() {
            let Some((name, values)) = leaf_name(&node.op).and_then(|name| self.inputs.tensors.get_key_value(name))
            else {
                continue;
            };
            let meta = self.graph.meta(node.outputs[0]);
            let numbers = values.numbers(meta.meaning).ok_or_else(|| format!("'{name}' is not {}", meta.meaning))?;
            given.insert(name.clone(), Tensor::new(meta.shape.clone(), numbers));
        }
        evaluate(&self.graph, &given, self.inputs.randomness).map_err(|e| e.to_string())
    }

    /// All results of a node: what it yields or, of an op that writes, the new contents of what it writes.
    fn results(&self, node: &Node, reference: &Evaluation) -> Vec<Tensor> {
        let written = self.targets().into_iter().filter(|t| t.place == Place::State && std::ptr::eq(t.node, node));
        let yielded = node.outputs.iter().map(|&v| reference.value(v));
        written.map(|t| &reference.states[t.name]).chain(yielded).cloned().collect()
    }
}

fn leaf_name(op: &Op) -> Option<&str> {
    match op {
        Op::Input(op) => Some(&op.name),
        Op::Scalar(op) => Some(&op.name),
        Op::State(op) => Some(&op.path),
        _ => None,
    }
}

/// All cases, every op in several.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [
        elementwise::cases,
        binary::cases,
        ternary::cases,
        convolution::cases,
        norm::cases,
        pool::cases,
        sum::cases,
        layout::cases,
        optimizer::cases,
        frozen::cases,
        fused::cases,
    ] {
        cases.extend(family());
    }
    cases
}

/// What the reference says of a case: evaluated once, compared with as many results as one likes.
pub struct Expected<'c> {
    case: &'c Case,
    reference: Evaluation,
    /// Σ|terms| of each target.
    terms: Vec<Tensor>,
}

impl<'c> Expected<'c> {
    /// Evaluates the reference.
    pub fn of(case: &'c Case) -> Result<Self, String> {
        let reference = case.evaluate()?;
        let terms = case.targets().into_iter().map(|Target { node, result, .. }| {
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|&v| reference.value(v)).collect();
            let shapes: Vec<&Shape> = node.outputs.iter().map(|&v| &case.graph.meta(v).shape).collect();
            let results = case.results(node, &reference);
            terms(&node.op, &inputs, &shapes, &results, case.inputs.randomness).swap_remove(result)
        });
        let terms = terms.collect();
        Ok(Self { case, reference, terms })
    }

    /// Compares what a backend computed: exact results are equal, rounded ones within their ULP, reduced ones within `factor·eps·Σ|terms|` (see [`classes`]). The error
    /// names the first element that is not.
    pub fn check(&self, got: &Outputs) -> Result<(), String> {
        let Self { case, reference, terms } = self;
        for (Target { place, name, value, node, result }, terms) in case.targets().into_iter().zip(terms) {
            let meta = case.graph.meta(value);
            let (kind, given, expected) = match place {
                Place::Output => ("output", &got.outputs, reference.value(value)),
                Place::State => ("state", &got.states, &reference.states[name]),
            };
            let given = given.get(name).ok_or_else(|| format!("{kind} '{name}' is missing"))?;
            let given = given
                .numbers(meta.meaning)
                .ok_or_else(|| format!("{kind} '{name}' is not of meaning {}", meta.meaning))?;
            if given.len() != expected.data.len() {
                return Err(format!("{kind} '{name}' has {} elements, not {}", given.len(), expected.data.len()));
            }
            let class = classes(&node.op)[result];
            for (i, ((&got, &expected), &terms)) in given.iter().zip(&expected.data).zip(&terms.data).enumerate() {
                if !class.accepts(got, expected, terms) {
                    let op = node.op.name();
                    return Err(format!(
                        "{op}: {kind} '{name}' {meta}, element {i}: got {got:e}, expected {expected:e} ({class:?}, Σ|terms| {terms:e})"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Compares one result with the reference: see [`Expected::check`].
pub fn check(case: &Case, got: &Outputs) -> Result<(), String> {
    Expected::of(case)?.check(got)
}
