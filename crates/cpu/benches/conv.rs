//! Speed of convolutions and their gradients as nodes of a program: `cargo bench -p binary-nets-cpu --bench conv`, one line per op and shape.
//!
//! Arguments: a number of threads (1 if none), then texts that all must stand in the line. Times are the best of several steps and include all that
//! an op does in a step: laying weights, padding, unpacking, sums of partial sums.

#![allow(missing_docs, reason = "a benchmark")]

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../tests/runner/mod.rs"]
mod runner;

use std::hint::black_box;
use std::time::{Duration, Instant};

use binary_nets_bits::Codes;
use binary_nets_conformance::suite::{Inputs, Values};
use binary_nets_cpu::Cpu;
use binary_nets_exec::{Backend, Run};
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight, Border, Conv2d, Conv2dGradInput,
    Conv2dGradWeight, ImageConv2d, Input, State, StateKind, StochasticRounding, WeightGradient, WeightScale,
};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, ValueMeta, Window};
use binary_nets_kernels::Isa;
use runner::Planned;

/// A convolution of a network.
#[derive(Clone, Copy)]
struct Shape {
    window: Window,
    /// Of all groups.
    channels: [usize; 2],
    groups: usize,
    size: usize,
    batch: usize,
}

impl Shape {
    fn output(&self) -> [usize; 2] {
        self.window.output([self.size; 2]).expect("a window that fits")
    }

    fn macs(&self) -> f64 {
        let [h, w] = self.output();
        (self.batch * h * w * self.channels[0] / self.groups * self.channels[1] * self.window.taps()) as f64
    }

    fn name(&self) -> String {
        let [c, o] = self.channels;
        let Window { kernel: [k, _], stride: [s, _], .. } = self.window;
        let groups = if self.groups > 1 { format!("/{}", self.groups) } else { String::new() };
        format!("{k}x{k}s{s} {c}>{o}{groups}@{} batch {}", self.size, self.batch)
    }
}

/// A graph of one op.
struct Nodes {
    graph: Graph,
}

impl Nodes {
    fn input(&mut self, name: &str, meaning: Meaning, shape: &[usize]) -> Value {
        let input = Input { name: name.to_owned(), shape: shape.into(), meaning };
        self.graph.add_one(input, &[], "").expect("an input")
    }

    fn state(&mut self, name: &str, meaning: Meaning, kind: StateKind, shape: &[usize]) -> Value {
        let state = State { path: name.to_owned(), shape: shape.into(), kind, init: Init::Constant(0.0), meaning };
        self.graph.add_one(state, &[], "").expect("a state")
    }
}

/// Numbers without structure (splitmix64) that a meaning allows.
fn random(meta: &ValueMeta) -> Values {
    let word = |i: u64| {
        let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let words = (0..meta.shape.elements() as u64).map(word);
    match meta.meaning {
        Meaning::F32 => Values::F32(words.map(|word| (word >> 40) as f32 / 8_388_608.0 - 1.0).collect()),
        Meaning::Bit { codes, .. } => Values::Codes(words.map(|word| codes.value(word >> 63 == 1) as i8).collect()),
        Meaning::Int { min, max } => {
            Values::I64(words.map(|word| min + (word >> 32) as i64 % (max - min + 1)).collect())
        }
        Meaning::Index { classes } => Values::I64(words.map(|word| (word >> 32) as i64 % i64::from(classes)).collect()),
    }
}

/// The shortest of several steps, in seconds.
fn best(planned: &Planned<'_>) -> f64 {
    let run = Run::default();
    planned.run(&run).expect("a run");
    let (start, mut best, mut steps) = (Instant::now(), Duration::MAX, 0);
    while steps < 3 || start.elapsed() < Duration::from_millis(200) {
        let step = Instant::now();
        planned.cpu.run(&planned.program, planned.program.compute(), &planned.memory, &run).expect("a run");
        best = best.min(step.elapsed());
        steps += 1;
    }
    black_box(planned.read(0));
    best.as_secs_f64()
}

/// The op of that name, with random leaves.
fn build<'c>(op: &str, shape: &Shape, cpu: &'c Cpu) -> Planned<'c> {
    let Shape { window, channels: [c, o], groups, size, batch } = *shape;
    let [h, w] = shape.output();
    let [kh, kw] = window.kernel;
    let mut n = Nodes { graph: Graph::new(batch) };
    let sign = Meaning::bits(Codes::Sign);
    let grouped = Meaning::Bit { codes: Codes::Sign, groups };
    let (parameter, constant) = (StateKind::Parameter, StateKind::Constant);
    let latent = [o, c / groups, kh, kw];
    let input = [size, size];
    let rounding = op.ends_with("_fixed").then_some(StochasticRounding { stream: 0 });
    let (op, inputs): (Op, Vec<Value>) = match op.trim_end_matches("_fixed") {
        "conv2d" => {
            let inputs =
                vec![n.input("x", Meaning::F32, &[size, size, c]), n.state("w", Meaning::F32, parameter, &latent)];
            (Conv2d { window, groups }.into(), inputs)
        }
        "conv2d_grad_input" => {
            let inputs = vec![n.input("dy", Meaning::F32, &[h, w, o]), n.state("w", Meaning::F32, parameter, &latent)];
            (Conv2dGradInput { window, groups, input }.into(), inputs)
        }
        "conv2d_grad_weight" => {
            let inputs = vec![n.input("x", Meaning::F32, &[size, size, c]), n.input("dy", Meaning::F32, &[h, w, o])];
            (Conv2dGradWeight { window, groups }.into(), inputs)
        }
        "binary_conv2d" => {
            let inputs = vec![
                n.input("codes", grouped, &[size, size, c]),
                n.state("bits", sign, parameter, &[o, kh, kw, c / groups]),
                n.state("alpha", Meaning::F32, parameter, &[o]),
            ];
            (BinaryConv2d { window, pad_value: 1 }.into(), inputs)
        }
        "binary_conv2d_grad_input" => {
            let inputs = vec![
                n.input("dy", Meaning::F32, &[h, w, o]),
                n.state("bits", sign, parameter, &[o, kh, kw, c / groups]),
                n.state("alpha", Meaning::F32, parameter, &[o]),
            ];
            (BinaryConv2dGradInput { window, groups, input, rounding, unpool: None }.into(), inputs)
        }
        "binary_conv2d_grad_weight" => {
            let inputs = vec![n.input("codes", grouped, &[size, size, c]), n.input("dy", Meaning::F32, &[h, w, o])];
            (BinaryConv2dGradWeight { window, pad_value: 1, rounding, unpool: None }.into(), inputs)
        }
        "binarize_weight" => {
            let op = BinarizeWeight { scale: WeightScale::Channel, gradient: WeightGradient::Clip, groups };
            (op.into(), vec![n.state("w", Meaning::F32, parameter, &latent)])
        }
        "image_conv2d" => {
            let border = Border { window, input };
            let weights = Meaning::Int { min: -32767, max: 32767 };
            let inputs = vec![
                n.input("image", Meaning::Int { min: 0, max: 255 }, &[size, size, c]),
                n.state("q", weights, constant, &[o, kh, kw, c]),
            ];
            (ImageConv2d { border }.into(), inputs)
        }
        other => panic!("no op {other}"),
    };
    let outputs = n.graph.add(op, &inputs, "").expect("an op");
    n.graph.set_output("y", outputs[0]);
    let planned = Planned::new(cpu, &n.graph, 1).expect("a plan");
    let leaves = n.graph.nodes().iter().filter_map(|node| match &node.op {
        Op::Input(op) => Some((op.name.clone(), random(n.graph.meta(node.outputs[0])))),
        Op::State(op) => Some((op.path.clone(), random(n.graph.meta(node.outputs[0])))),
        _ => None,
    });
    planned.write(&Inputs { tensors: leaves.collect(), ..Inputs::default() }, 0);
    planned
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let threads = arguments.first().and_then(|first| first.parse().ok());
    if threads.is_some() {
        arguments.remove(0);
    }
    let isa = Isa::from_env().expect("an instruction set");
    let cpu = Cpu::new(Some(threads.unwrap_or(1)), isa).expect("a backend");
    let square = |channels, size, batch| Shape {
        window: Window::square(3, 1, 1),
        channels: [channels; 2],
        groups: 1,
        size,
        batch,
    };
    let body = [(16, 28), (32, 14), (64, 7), (128, 4), (64, 32), (128, 16), (256, 8), (512, 4)];
    let mut shapes: Vec<Shape> = body.into_iter().map(|(channels, size)| square(channels, size, 64)).collect();
    // Four bases side by side.
    let bases = [(256, 32), (512, 16), (1024, 8), (2048, 4)];
    shapes.extend(bases.into_iter().map(|(channels, size)| Shape { groups: 4, ..square(channels, size, 16) }));
    for (c, o, size) in [(16, 32, 28), (64, 128, 32)] {
        shapes.push(Shape { window: Window::square(3, 2, 1), channels: [c, o], groups: 1, size, batch: 64 });
        shapes.push(Shape { window: Window::square(1, 2, 0), channels: [c, o], groups: 1, size, batch: 64 });
    }
    let stems = [
        Shape { window: Window::square(3, 1, 1), channels: [1, 16], groups: 1, size: 28, batch: 64 },
        Shape { window: Window::square(7, 2, 3), channels: [3, 64], groups: 1, size: 224, batch: 1 },
    ];
    let floats = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"];
    let binary = [
        "binary_conv2d",
        "binary_conv2d_grad_input",
        "binary_conv2d_grad_input_fixed",
        "binary_conv2d_grad_weight",
        "binary_conv2d_grad_weight_fixed",
        "binarize_weight",
    ];
    let jobs = binary.into_iter().flat_map(|op| shapes.iter().map(move |shape| (op, shape)));
    let jobs = jobs.chain(floats.into_iter().flat_map(|op| shapes.iter().chain(&stems).map(move |shape| (op, shape))));
    for (op, shape) in jobs.chain(stems.iter().map(|shape| ("image_conv2d", shape))) {
        let line = format!("{op:32} {:28}", shape.name());
        if arguments.iter().all(|text| line.contains(text.as_str())) {
            let seconds = best(&build(op, shape, &cpu));
            println!("{line} {:9.3} ms {:7.1} GMAC/s", seconds * 1e3, shape.macs() / seconds / 1e9);
        }
    }
}
