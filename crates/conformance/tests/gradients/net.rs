//! Small graphs with a loss.

use std::collections::BTreeMap;

use binary_nets_conformance::reference::{Randomness, evaluate};
use binary_nets_conformance::{Random, Tensor};
use binary_nets_graph::ops::{Arithmetic, Input, Reduce, Reduction, State, StateKind};
use binary_nets_graph::passes::differentiate;
use binary_nets_graph::{Graph, GraphError, Init, Meaning, Op, Value};

/// The distance of central differences: the error of the formula is about its square, that of the arithmetic about 1e-16 over it.
const STEP: f64 = 1e-5;
/// Above both errors, and far below what a wrong formula yields.
const TOLERANCE: f64 = 1e-7;

/// A graph under construction and what its leaves hold.
pub struct Net {
    pub graph: Graph,
    pub given: BTreeMap<String, Tensor>,
    random: Random,
}

impl Net {
    pub fn new() -> Self {
        Self { graph: Graph::new(2), given: BTreeMap::new(), random: Random::new(7) }
    }

    /// A state of these numbers; its path.
    pub fn state_of(&mut self, path: &str, shape: &[usize], data: Vec<f64>) -> Value {
        self.given.insert(path.to_owned(), Tensor::new(shape, data));
        let state = State {
            path: path.to_owned(),
            shape: shape.into(),
            kind: StateKind::Parameter,
            init: Init::Constant(0.0),
            meaning: Meaning::F32,
        };
        self.op(state, &[])
    }

    /// A state of numbers in `[-1, 1)`, none within 0.01 of another or of 0, where differences would step over a kink.
    pub fn state(&mut self, path: &str, shape: &[usize]) -> Value {
        let n: usize = shape.iter().product();
        // Distinct places on a grid, in random order.
        let grid = n.max(90) + 1;
        let mut places: Vec<usize> = (0..grid).filter(|&place| 2 * place + 1 != grid).collect();
        for last in (1..places.len()).rev() {
            places.swap(last, self.random.below(last as u64 + 1) as usize);
        }
        let data = places[..n].iter().map(|&place| (2.0 * place as f64 + 1.0) / grid as f64 - 1.0).collect();
        self.state_of(path, shape, data)
    }

    /// A state of numbers between 1/2 and 3/2.
    pub fn positive(&mut self, path: &str, shape: &[usize]) -> Value {
        let value = self.state(path, shape);
        // Not halved, so that these numbers and those of `state` never tie.
        let shifted = self.given[path].map(|x| 1.0 + x / 2.1);
        self.given.insert(path.to_owned(), shifted);
        value
    }

    /// An input of the batch; the shape is that of a sample.
    pub fn index(&mut self, name: &str, classes: u32, sample: &[usize]) -> Value {
        let value =
            self.op(Input { name: name.to_owned(), shape: sample.into(), meaning: Meaning::Index { classes } }, &[]);
        let shape = self.graph.meta(value).shape.clone();
        let data = (0..shape.elements()).map(|_| self.random.below(u64::from(classes)) as f64).collect();
        self.given.insert(name.to_owned(), Tensor::new(shape, data));
        value
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Value {
        self.ops(op, inputs)[0]
    }

    pub fn ops(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Vec<Value> {
        self.graph.add(op, inputs, "layer").unwrap()
    }

    /// Makes `Σ r·value` the loss, with random r, so that the gradient of the value is r; returns r.
    pub fn loss(&mut self, value: Value) -> Tensor {
        let shape = self.graph.meta(value).shape.clone();
        let r = self.state("r", &shape);
        let product = self.op(Arithmetic::MUL, &[value, r]);
        let loss =
            self.op(Reduce { reduction: Reduction::Sum, axes: (0..shape.len()).collect(), keep: false }, &[product]);
        self.graph.set_output("loss", loss);
        self.given["r"].clone()
    }

    /// The gradients of parameters that the loss depends on.
    pub fn gradients(&self, paths: &[&str]) -> Result<BTreeMap<String, Tensor>, GraphError> {
        let differentiated = differentiate(&self.graph, "loss", paths)?;
        let evaluation = evaluate(&differentiated.graph, &self.given, RANDOMNESS).unwrap();
        Ok(differentiated.gradients.into_iter().map(|(path, value)| (path, evaluation.value(value).clone())).collect())
    }

    fn loss_with(&self, path: &str, tensor: Tensor) -> f64 {
        let mut given = self.given.clone();
        given.insert(path.to_owned(), tensor);
        evaluate(&self.graph, &given, RANDOMNESS).unwrap().value(self.graph.output("loss").unwrap()).data[0]
    }

    /// The gradient of a parameter by central differences.
    pub fn differences(&self, path: &str) -> Tensor {
        let at = &self.given[path];
        let moved = |i: usize, by: f64| {
            let mut moved = at.clone();
            moved.data[i] += by;
            self.loss_with(path, moved)
        };
        let slopes = (0..at.data.len()).map(|i| (moved(i, STEP) - moved(i, -STEP)) / (2.0 * STEP)).collect();
        Tensor::new(at.shape.clone(), slopes)
    }

    /// Compares the gradients of all these parameters with central differences.
    pub fn check(&self, what: &str, paths: &[&str]) {
        let gradients = self.gradients(paths).unwrap();
        for &path in paths {
            assert_close(&format!("{what}, d{path}"), &gradients[path], &self.differences(path));
        }
    }
}

const RANDOMNESS: Randomness = Randomness { seed: 3, step: 5 };

pub fn assert_close(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.shape, expected.shape, "{what}");
    for (i, (got, expected)) in got.data.iter().zip(&expected.data).enumerate() {
        assert!(
            (got - expected).abs() <= TOLERANCE * (1.0 + expected.abs()),
            "{what}, element {i}: {got}, but differences say {expected}"
        );
    }
}
