//! A small binary network.

use binary_nets_conformance::Random;
use binary_nets_conformance::suite::{Inputs, Values};
use binary_nets_graph::ops::{
    Adam, AvgPool2d, BatchNorm, BinarizeWeight, BinaryConv2d, Bop, Conv2d, Dropout, Input, Matmul, MaxPool2d,
    NormalizeImage, Prelu, Relu, Reshape, Sgd, Sign, SoftmaxCrossEntropy, State, StateKind, Step, Surrogate,
    WeightGradient, WeightScale,
};
use binary_nets_graph::passes::{
    Update, UpdateRule, accumulate_gradients, accumulated_gradients, attach_averages, attach_statistics,
    attach_updates, clip_gradients, dce, differentiate,
};
use binary_nets_graph::{Graph, Init, Meaning, Op, Shape, Value, Window};

const CLASSES: usize = 10;

struct Builder(Graph);

impl Builder {
    fn op(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Value {
        self.0.add(op, inputs, "layer").unwrap()[0]
    }

    fn state(&mut self, path: String, shape: &[usize], kind: StateKind) -> Value {
        self.op(State { path, shape: shape.into(), kind, init: Init::Constant(0.0), meaning: Meaning::F32 }, &[])
    }

    fn norm(&mut self, name: &str, x: Value) -> Value {
        let c = self.0.meta(x).shape.channels();
        let mut inputs = vec![x];
        for (part, kind) in [
            ("weight", StateKind::Parameter),
            ("bias", StateKind::Parameter),
            ("running_mean", StateKind::Statistic),
            ("running_var", StateKind::Statistic),
        ] {
            inputs.push(self.state(format!("{name}.{part}"), &[c], kind));
        }
        self.op(BatchNorm { eps: 1e-5, momentum: 0.1 }, &inputs)
    }

    fn binary_conv(&mut self, name: &str, codes: Value, outputs: usize, gradient: WeightGradient) -> Value {
        let c = self.0.meta(codes).shape.channels();
        let w = self.state(format!("{name}.weight"), &[outputs, c, 3, 3], StateKind::Latent);
        let binarize = BinarizeWeight { scale: WeightScale::Channel, gradient, groups: 1 };
        let q = self.0.add(binarize, &[w], name).unwrap();
        self.op(BinaryConv2d { window: Window::square(3, 1, 1), pad_value: 0 }, &[codes, q[0], q[1]])
    }
}

/// Pixels to logits. The maps are large enough for several lanes.
pub fn forward(batch: usize) -> Graph {
    let mut b = Builder(Graph::new(batch));
    let image = Input { name: "image".into(), shape: [24, 24, 3].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let image = b.op(image, &[]);
    let x = b.op(NormalizeImage { mean: vec![0.5; 3], std: vec![0.25; 3] }, &[image]);
    let w = b.state("stem.weight".into(), &[32, 3, 3, 3], StateKind::Parameter);
    let x = b.op(Conv2d { window: Window::square(3, 1, 1), groups: 1 }, &[x, w]);
    let x = b.norm("norm0", x);
    let x = b.op(MaxPool2d { window: Window::square(3, 2, 1) }, &[x]);
    let codes = b.op(Sign { gradient: Surrogate::Approx, groups: 1 }, &[x]);
    let y = b.binary_conv("conv1", codes, 32, WeightGradient::Clip);
    let y = b.norm("norm1", y);
    let x = b.op(binary_nets_graph::ops::Arithmetic::ADD, &[x, y]);
    let x = b.op(Relu {}, &[x]);
    let codes = b.op(Step { gradient: Surrogate::Clip, groups: 1 }, &[x]);
    let x = b.binary_conv("conv2", codes, 48, WeightGradient::Xnor);
    let x = b.op(MaxPool2d { window: Window::square(2, 2, 0) }, &[x]);
    let x = b.norm("norm2", x);
    let slope = b.state("prelu.weight".into(), &[48], StateKind::Parameter);
    let x = b.op(Prelu {}, &[x, slope]);
    let x = b.op(Dropout { p: 0.25, stream: 3 }, &[x]);
    let x = b.op(AvgPool2d { window: Window::square(6, 1, 0), ceil: false }, &[x]);
    let x = b.op(Reshape { dims: vec![0, -1] }, &[x]);
    let w = b.state("head.weight".into(), &[CLASSES, 48], StateKind::Parameter);
    let bias = b.state("head.bias".into(), &[CLASSES], StateKind::Parameter);
    let x = b.op(Matmul { transpose_a: false, transpose_b: true }, &[x, w]);
    let logits = b.op(binary_nets_graph::ops::Arithmetic::ADD, &[x, bias]);
    b.0.set_output("logits", logits);
    b.0
}

/// Forward, loss, backward and statistics, and the gradients of all parameters by path.
fn differentiated(batch: usize) -> (Graph, Vec<(String, Value)>) {
    let mut b = Builder(forward(batch));
    let label =
        Input { name: "label".into(), shape: Shape::default(), meaning: Meaning::Index { classes: CLASSES as u32 } };
    let label = b.op(label, &[]);
    let logits = b.0.output("logits").unwrap();
    let loss = b.op(SoftmaxCrossEntropy { label_smoothing: 0.1 }, &[logits, label]);
    b.0.set_output("loss", loss);
    let paths = b.0.nodes().iter().filter_map(|node| match &node.op {
        Op::State(state) if matches!(state.kind, StateKind::Parameter | StateKind::Latent) => Some(state.path.as_str()),
        _ => None,
    });
    let mut differentiated = differentiate(&b.0, "loss", &paths.collect::<Vec<_>>()).unwrap();
    attach_statistics(&mut differentiated.graph, None).unwrap();
    (differentiated.graph, differentiated.gradients)
}

/// A whole step of training, the last of two batches: forward, loss, backward, statistics, updates with clipped gradients, averages.
pub fn training_step(batch: usize) -> Graph {
    let (mut graph, gradients) = differentiated(batch);
    let gradients = accumulated_gradients(&mut graph, &gradients, 2).unwrap();
    let (gradients, norm) = clip_gradients(&mut graph, &gradients, 1.0).unwrap();
    let adam = Adam {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        clamp: Some(1.0),
        decoupled: true,
        amsgrad: true,
    };
    let sgd = Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-4, clamp: None };
    let update = |(path, _): &(String, Value)| {
        let rule = match path.as_str() {
            "conv1.weight" => UpdateRule::Adam(adam.clone()),
            "conv2.weight" => UpdateRule::Bop(Bop { threshold: 1e-6 }),
            "head.weight" => UpdateRule::Adam(Adam { decoupled: false, amsgrad: false, ..adam.clone() }),
            _ => UpdateRule::Sgd(sgd.clone()),
        };
        Update { path: path.clone(), rule, lr: "lr".into() }
    };
    let updates: Vec<Update> = gradients.iter().map(update).collect();
    attach_updates(&mut graph, &gradients, Some(norm), &updates).unwrap();
    attach_averages(&mut graph, 0.9).unwrap();
    dce(&graph).unwrap()
}

/// The step of the first of two batches, which only sums the gradients.
pub fn accumulating_step(batch: usize) -> Graph {
    let (mut graph, gradients) = differentiated(batch);
    accumulate_gradients(&mut graph, &gradients).unwrap();
    dce(&graph).unwrap()
}

/// Something for every leaf of a graph; what is `[n, …]` differs by `seed`, states do not.
pub fn inputs(graph: &Graph, seed: u64) -> Inputs {
    let mut inputs = Inputs::default();
    for node in graph.nodes().iter().filter(|node| node.op.is_leaf()) {
        let meta = graph.meta(node.outputs[0]);
        let (name, mut random, moment) = match &node.op {
            Op::State(state) => (&state.path, Random::new(state.path.len() as u64), state.path.contains('#')),
            Op::Input(input) => (&input.name, Random::new(seed), false),
            Op::Scalar(scalar) => (&scalar.name, Random::new(0), false),
            op => unreachable!("{} is no leaf", op.name()),
        };
        let elements = 0..meta.shape.elements();
        let values = match meta.meaning {
            _ if moment => Values::F32(vec![0.0; elements.len()]),
            Meaning::F32 if meta.shape.is_empty() => Values::F32(vec![0.01]),
            Meaning::F32 if name.contains("running_var") => Values::F32(vec![1.0; elements.len()]),
            Meaning::F32 => Values::F32(elements.map(|_| random.number() as f32).collect()),
            Meaning::Int { max, .. } => Values::I64(elements.map(|_| random.below(max as u64 + 1) as i64).collect()),
            Meaning::Index { classes } => Values::I64(elements.map(|_| random.below(classes.into()) as i64).collect()),
            Meaning::Bit { codes, .. } => {
                Values::Codes(elements.map(|_| codes.value(random.below(2) == 1) as i8).collect())
            }
        };
        inputs.tensors.insert(name.clone(), values);
    }
    inputs
}
