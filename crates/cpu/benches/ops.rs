//! How fast the ops between convolutions move memory, on a feature map of a small `ResNet`: `cargo bench -p binary-nets-cpu --bench ops`.

#[allow(dead_code, reason = "a benchmark writes no inputs")]
#[path = "../tests/runner/mod.rs"]
mod runner;

use std::time::{Duration, Instant};

use binary_nets_cpu::Cpu;
use binary_nets_exec::{Backend, Run};
use binary_nets_graph::ops::{
    Adam, ApplyMask, Arithmetic, BatchNorm, BatchNormGrad, Input, MaxPool2d, Prelu, Reduce, Reduction, Relu, Scalar,
    Sign, State, StateKind, Step, Surrogate, SurrogateGrad, SurrogateSlope,
};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, Window};
use binary_nets_kernels::Isa;
use runner::Planned;

const MAP: [usize; 4] = [64, 28, 28, 64];

struct Builder {
    graph: Graph,
    leaves: usize,
}

impl Builder {
    fn leaf(&mut self, meaning: Meaning, sample: &[usize]) -> Value {
        self.leaves += 1;
        let input = Input { name: format!("x{}", self.leaves), shape: sample.into(), meaning };
        self.graph.add_one(input, &[], "").unwrap()
    }

    fn map(&mut self) -> Value {
        self.leaf(Meaning::F32, &MAP[1..])
    }

    fn state(&mut self, extent: usize) -> Value {
        self.leaves += 1;
        let (path, kind) = (format!("s{}", self.leaves), StateKind::Parameter);
        let state = State { path, shape: [extent].into(), kind, init: Init::Constant(0.0), meaning: Meaning::F32 };
        self.graph.add_one(state, &[], "").unwrap()
    }

    fn channels(&mut self) -> Value {
        self.state(MAP[3])
    }
}

type Inputs = fn(&mut Builder) -> Vec<Value>;

fn main() {
    let adam = Adam {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        clamp: Some(1.0),
        decoupled: false,
        amsgrad: false,
    };
    let ops: Vec<(&str, Op, Inputs)> = vec![
        ("sign", Sign { gradient: Surrogate::Approx, groups: 1 }.into(), |b| vec![b.map()]),
        ("step", Step { gradient: Surrogate::Approx, groups: 1 }.into(), |b| vec![b.map()]),
        ("surrogate_grad", SurrogateGrad { gradient: SurrogateSlope::Approx }.into(), |b| vec![b.map(), b.map()]),
        ("surrogate_grad swish", SurrogateGrad { gradient: SurrogateSlope::Swish { beta: 5.0 } }.into(), |b| {
            vec![b.map(), b.map()]
        }),
        ("prelu", Prelu {}.into(), |b| vec![b.map(), b.channels()]),
        ("relu", Relu {}.into(), |b| vec![b.map()]),
        ("apply_mask", ApplyMask { scale: 1.0 }.into(), |b| {
            vec![b.leaf(Meaning::bits(binary_nets_bits::Codes::Step), &MAP[1..]), b.map()]
        }),
        ("add", Arithmetic::ADD.into(), |b| vec![b.map(), b.map()]),
        ("add channels", Arithmetic::ADD.into(), |b| vec![b.map(), b.channels()]),
        ("batch_norm", BatchNorm { eps: 1e-5, momentum: 0.1 }.into(), |b| {
            vec![b.map(), b.channels(), b.channels(), b.channels(), b.channels()]
        }),
        ("batch_norm_grad", BatchNormGrad { eps: 1e-5 }.into(), |b| {
            vec![b.map(), b.channels(), b.channels(), b.channels(), b.map()]
        }),
        ("max_pool2d", MaxPool2d { window: Window::square(3, 2, 1) }.into(), |b| vec![b.map()]),
        ("reduce rows", Reduce { reduction: Reduction::Sum, axes: vec![0, 1, 2], keep: false }.into(), |b| {
            vec![b.map()]
        }),
        ("adam", adam.into(), |b| {
            let [lr, t] = ["lr", "t"].map(|name| b.graph.add_one(Scalar { name: name.into() }, &[], "").unwrap());
            let n = 2_400_000;
            let [w, dw, m, v] = [b.state(n), b.state(n), b.state(n), b.state(n)];
            vec![w, dw, lr, t, m, v]
        }),
    ];
    for isa in Isa::available() {
        let cpu = Cpu::new(None, isa).unwrap();
        println!("{} on {} threads", isa.name(), cpu.threads());
        for (name, op, inputs) in &ops {
            let mut b = Builder { graph: Graph::new(MAP[0]), leaves: 0 };
            let inputs = inputs(&mut b);
            let outputs = b.graph.add(op.clone(), &inputs, "").unwrap();
            for (i, &output) in outputs.iter().enumerate() {
                b.graph.set_output(&format!("y{i}"), output);
            }
            let planned = Planned::new(&cpu, &b.graph, 1).unwrap();
            let step = &planned.program.steps()[0];
            let moved: usize = step.inputs.iter().chain(&step.outputs).map(|slot| slot.bytes).sum();
            let best = (0..15).map(|_| time(&planned)).min().unwrap_or_default();
            println!(
                "{name:>20} {:8.3} ms {:6.1} GB/s",
                best.as_secs_f64() * 1e3,
                moved as f64 / best.as_secs_f64() / 1e9
            );
        }
    }
}

fn time(planned: &Planned<'_>) -> Duration {
    let start = Instant::now();
    planned.cpu.run(&planned.program, 0..1, &planned.memory, &Run::default()).unwrap();
    start.elapsed()
}
