//! One op on random leaves, and the shapes of convolutions.

use binary_nets_conformance::Random;
use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::Cpu;
use binary_nets_exec::{Address, Backend, Region, Run};
use binary_nets_graph::ops::{Input, State, StateKind};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, Window};
use binary_nets_kernels::Isa;

use crate::runner::Planned;

/// A graph of one op on random leaves.
pub struct Case {
    pub name: String,
    graph: Graph,
    pub inputs: Inputs,
    random: Random,
}

impl Case {
    pub fn new(name: &str, batch: usize) -> Self {
        let random = Random::new(name.bytes().map(u64::from).sum());
        Self { name: name.to_owned(), graph: Graph::new(batch), inputs: Inputs::default(), random }
    }

    /// A leaf of the batch.
    pub fn input(&mut self, name: &str, meaning: Meaning, sample: &[usize]) -> Value {
        let leaf = Input { name: name.to_owned(), shape: sample.into(), meaning };
        self.leaf(leaf, name)
    }

    /// A leaf that stays.
    pub fn state(&mut self, name: &str, meaning: Meaning, kind: StateKind, shape: &[usize]) -> Value {
        let init = Init::Constant(0.0);
        let leaf = State { path: name.to_owned(), shape: shape.into(), kind, init, meaning };
        self.leaf(leaf, name)
    }

    fn leaf(&mut self, leaf: impl Into<Op>, name: &str) -> Value {
        let value = self.graph.add_one(leaf, &[], "").unwrap();
        let meta = self.graph.meta(value).clone();
        let random = &mut self.random;
        let numbers: Vec<f64> = (0..meta.shape.elements())
            .map(|_| match meta.meaning {
                Meaning::F32 => random.number(),
                Meaning::Bit { codes, .. } => f64::from(codes.value(random.below(2) == 1)),
                // The bounds are drawn often.
                Meaning::Int { min, max } => {
                    let any = min + random.below((max - min + 1) as u64) as i64;
                    [min, max, any, any][random.below(4) as usize] as f64
                }
                Meaning::Index { classes } => random.below(u64::from(classes)) as f64,
            })
            .collect();
        self.inputs.tensors.insert(name.to_owned(), Values::from_numbers(meta.meaning, &numbers));
        value
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[Value]) {
        for (i, output) in self.graph.add(op, inputs, "").unwrap().into_iter().enumerate() {
            self.graph.set_output(["y", "z"][i], output);
        }
    }

    pub fn run(&self, isa: Isa, threads: usize) -> Outputs {
        let cpu = Cpu::new(Some(threads), isa).unwrap();
        let planned = Planned::new(&cpu, &self.graph, 1).unwrap();
        // Old bytes are NaNs, so that whoever reads what nobody wrote is caught.
        let bytes = planned.program.workspace_bytes() * cpu.lanes(1);
        let workspace = Address { region: Region::Workspace, offset: 0, bytes };
        cpu.write(&planned.memory.workspace, workspace, &vec![0xff; bytes]);
        planned.write(&self.inputs, 0);
        planned.run(&Run::default()).unwrap();
        planned.read(0)
    }

    /// The outputs, the same on every instruction set and number of threads.
    pub fn outputs(&self) -> Outputs {
        let expected = self.run(Isa::detect(), 1);
        for isa in Isa::available() {
            for threads in [1, 2, 5] {
                let got = self.run(isa, threads);
                assert!(got == expected, "{} on {} with {threads} threads", self.name, isa.name());
            }
        }
        expected
    }

    pub fn floats(&self, name: &str) -> &[f32] {
        let Values::F32(data) = &self.inputs.tensors[name] else { panic!("'{name}' has floats") };
        data
    }

    pub fn integers(&self, name: &str) -> &[i64] {
        let Values::I64(data) = &self.inputs.tensors[name] else { panic!("'{name}' has integers") };
        data
    }
}

/// Batch, input size, input and output channels, groups, window.
pub type Shape = (usize, [usize; 2], [usize; 2], usize, Window);

/// Blocks and panels that are cut at every kind of place.
pub fn shapes() -> Vec<Shape> {
    let odd = Window { kernel: [2, 3], stride: [1, 2], padding: [0, 2], dilation: [3, 1] };
    vec![
        (1, [13, 12], [3, 16], 1, Window::square(3, 1, 1)),
        (9, [4, 4], [66, 70], 1, Window::square(3, 1, 1)),
        (3, [13, 12], [6, 4], 2, Window::square(3, 2, 1)),
        (2, [12, 11], [20, 130], 1, Window::square(1, 1, 0)),
        (2, [13, 11], [5, 17], 1, Window::square(1, 2, 0)),
        (2, [9, 14], [8, 8], 1, odd),
        (2, [15, 15], [3, 8], 1, Window::square(7, 2, 3)),
        (11, [6, 6], [5, 5], 5, Window::square(3, 1, 1)),
        (2, [2, 2], [3, 4], 1, Window::square(1, 3, 0)),
        // Several images, and blocks of them, in one partial sum.
        (20, [12, 12], [3, 4], 1, Window::square(3, 1, 1)),
    ]
}
