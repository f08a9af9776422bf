//! Building cases.

use std::collections::BTreeMap;

use binary_nets_bits::Codes;
use binary_nets_graph::ops::{Input, Scalar, State, StateKind};
use binary_nets_graph::{Graph, Init, Meaning, Op, Shape, Value};

use super::{Case, Inputs, Values};
use crate::Random;
use crate::reference::Randomness;

/// Channel counts on both sides of a word and of two, and of most vectors.
pub const CHANNELS: [usize; 6] = [1, 7, 63, 64, 65, 130];

/// A case under construction. Leaves are filled from a generator whose seed is the case's name.
pub struct Builder {
    name: String,
    graph: Graph,
    tensors: BTreeMap<String, Values>,
    random: Random,
}

/// Numbers that a leaf is filled with; f32 holds every one.
#[derive(Clone, Copy, Debug)]
pub enum Fill {
    /// `[-1, 1)`, times a power of two.
    Uniform(f32),
    /// `[1/8, 9/8)`.
    Positive,
    /// Often −0.0, 0 and ±1, ±1/2, on which masks and signs turn, and numbers up to ±2.
    Turning,
    /// Multiples of 1/2 in `[-1, 1]`: ties.
    Coarse,
    /// Around 100, with a spread of 1.
    Offset,
}

impl Fill {
    fn number(self, random: &mut Random) -> f64 {
        match self {
            Self::Uniform(scale) => f64::from(scale) * random.number(),
            Self::Positive => f64::from((0.625 + 0.5 * random.number()) as f32),
            Self::Turning => {
                let turns = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5];
                let picked = turns.get(random.below(12) as usize);
                picked.copied().unwrap_or_else(|| 2.0 * random.number())
            }
            Self::Coarse => random.below(5) as f64 / 2.0 - 1.0,
            Self::Offset => f64::from((100.0 + random.number()) as f32),
        }
    }
}

impl Builder {
    pub fn new(name: impl Into<String>) -> Self {
        Self::with_batch(name, 2)
    }

    pub fn with_batch(name: impl Into<String>, batch: usize) -> Self {
        let name = name.into();
        let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(257).wrapping_add(u64::from(byte)));
        Self { name, graph: Graph::new(batch), tensors: BTreeMap::new(), random: Random::new(seed) }
    }

    fn fill(&mut self, name: &str, meaning: Meaning, shape: &Shape, mut number: impl FnMut(&mut Random) -> f64) {
        let numbers: Vec<f64> = (0..shape.elements()).map(|_| number(&mut self.random)).collect();
        self.tensors.insert(name.to_owned(), Values::from_numbers(meaning, &numbers));
    }

    fn input_of(&mut self, meaning: Meaning, sample: &[usize], number: impl FnMut(&mut Random) -> f64) -> Value {
        let name = format!("input{}", self.tensors.len());
        let value = self.op(Input { name: name.clone(), shape: sample.into(), meaning }, &[]);
        let shape = self.graph.meta(value).shape.clone();
        self.fill(&name, meaning, &shape, number);
        value
    }

    /// An input of the batch; the shape is that of a sample.
    pub fn input(&mut self, sample: &[usize], fill: Fill) -> Value {
        self.input_of(Meaning::F32, sample, |random| fill.number(random))
    }

    /// Pixels.
    pub fn image(&mut self, sample: &[usize]) -> Value {
        self.input_of(Meaning::Int { min: 0, max: 255 }, sample, |random| random.below(256) as f64)
    }

    /// Integers of magnitudes up to `most`.
    pub fn integers(&mut self, sample: &[usize], most: u16) -> Value {
        let most = i64::from(most);
        let below = 2 * most as u64 + 1;
        self.input_of(Meaning::Int { min: -most, max: most }, sample, |random| random.below(below) as f64 - most as f64)
    }

    /// A choice among classes for each sample.
    pub fn label(&mut self, classes: u32) -> Value {
        self.index(classes, &[])
    }

    /// Choices among classes; the shape is that of a sample.
    pub fn index(&mut self, classes: u32, sample: &[usize]) -> Value {
        self.input_of(Meaning::Index { classes }, sample, |random| random.below(u64::from(classes)) as f64)
    }

    fn state_of(
        &mut self,
        meaning: Meaning,
        kind: StateKind,
        shape: &[usize],
        number: impl FnMut(&mut Random) -> f64,
    ) -> Value {
        let path = format!("state{}", self.tensors.len());
        self.fill(&path, meaning, &shape.into(), number);
        self.op(State { path, shape: shape.into(), kind, init: Init::Constant(0.0), meaning }, &[])
    }

    /// A state.
    pub fn state(&mut self, shape: &[usize], fill: Fill) -> Value {
        self.state_of(Meaning::F32, StateKind::Parameter, shape, |random| fill.number(random))
    }

    /// A state with one number everywhere.
    pub fn constant(&mut self, shape: &[usize], number: f32) -> Value {
        self.state_of(Meaning::F32, StateKind::Moment, shape, |_| f64::from(number))
    }

    /// A constant of a frozen network.
    pub fn frozen_state(&mut self, shape: &[usize], fill: Fill) -> Value {
        self.state_of(Meaning::F32, StateKind::Constant, shape, |random| fill.number(random))
    }

    /// Weight bits that stand in the graph as a frozen network's do.
    pub fn frozen_bits(&mut self, shape: &[usize]) -> Value {
        self.frozen_codes(Codes::Sign, shape)
    }

    /// One plane of ternary weights that stands there as well.
    pub fn frozen_plane(&mut self, shape: &[usize]) -> Value {
        self.frozen_codes(Codes::Step, shape)
    }

    fn frozen_codes(&mut self, codes: Codes, shape: &[usize]) -> Value {
        let code = |random: &mut Random| f64::from(codes.value(random.below(2) == 1));
        self.state_of(Meaning::bits(codes), StateKind::Constant, shape, code)
    }

    /// Weights of convolutions of bytes, both ends of their range among them.
    pub fn frozen_stem(&mut self, shape: &[usize], largest: u16) -> Value {
        let most = f64::from(largest);
        let meaning = Meaning::Int { min: -i64::from(largest), max: largest.into() };
        self.state_of(meaning, StateKind::Constant, shape, |random| match random.below(4) {
            0 => -most,
            1 => most,
            _ => random.below(2 * u64::from(largest) + 1) as f64 - most,
        })
    }

    /// A number that the host gives.
    pub fn scalar(&mut self, number: f32) -> Value {
        let name = format!("scalar{}", self.tensors.len());
        self.tensors.insert(name.clone(), Values::F32(vec![number]));
        self.op(Scalar { name }, &[])
    }

    /// Replaces some elements of a float leaf.
    pub fn overwrite(&mut self, leaf: Value, elements: impl IntoIterator<Item = (usize, f32)>) {
        let name = match &self.graph.producer(leaf).op {
            Op::Input(op) => &op.name,
            Op::State(op) => &op.path,
            op => panic!("{} is no tensor of the host", op.name()),
        };
        let Some(Values::F32(data)) = self.tensors.get_mut(name) else { panic!("'{name}' is no float leaf") };
        for (i, number) in elements {
            data[i] = number;
        }
    }

    /// A node with one output, or none.
    pub fn op(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Value {
        self.ops(op, inputs)[0]
    }

    /// A node with any number of outputs.
    pub fn ops(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Vec<Value> {
        self.graph.add(op, inputs, "").unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// The case that compares these outputs, besides the states that its ops write.
    pub fn outputs(self, outputs: &[Value]) -> Case {
        self.at_step(0, outputs)
    }

    /// The same at another step.
    pub fn at_step(mut self, step: u64, outputs: &[Value]) -> Case {
        for (i, &value) in outputs.iter().enumerate() {
            self.graph.set_output(&format!("y{i}"), value);
        }
        Case {
            name: self.name,
            graph: self.graph,
            inputs: Inputs { tensors: self.tensors, randomness: Randomness { seed: 17, step } },
        }
    }
}
