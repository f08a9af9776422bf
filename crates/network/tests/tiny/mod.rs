//! A network and a dataset so small that a step takes a millisecond, with every kind of layer that evaluation folds.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_data::{
    Dataset, ImageShape, InMemory, Loader, LoaderOptions, Random, SamplerState, Sequential, Shuffle,
};
use binary_nets_graph::ops::{
    Adam, Arithmetic, ArithmeticFunction, BatchNorm, BinarizeWeight, BinaryConv2d, Conv2d, CountCorrect, Dropout,
    Input, Matmul, NormalizeImage, Reduce, Reduction, Relu, Scalar, Sgd, SoftmaxCrossEntropy, State, StateKind, Step,
    Surrogate, SurrogateGrad, SurrogateSlope, WeightGradient, WeightScale,
};
use binary_nets_graph::passes::{Update, UpdateRule};
use binary_nets_graph::spec::{GraphSpec, NodeSpec, VERSION, ValueRef};
use binary_nets_graph::{Init, Meaning, Op, Window};
use binary_nets_network::{Network, TrainingOptions};

pub const SIDE: usize = 8;
pub const PIXELS: usize = SIDE * SIDE;
pub const CLASSES: usize = 4;
pub const BATCH: usize = 16;
/// The channels of the first convolution.
pub const WIDTH: usize = 8;
pub const MEAN: f64 = 0.4;
pub const STD: f64 = 0.25;

/// A cpu with that many threads on the fastest instruction set.
pub fn cpu(threads: usize) -> Cpu {
    Cpu::new(Some(threads), Isa::detect()).unwrap()
}

/// Nodes as they are traced.
#[derive(Default)]
pub struct Trace {
    nodes: Vec<NodeSpec>,
}

impl Trace {
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueRef], path: &str) -> ValueRef {
        self.nodes.push(NodeSpec { op: op.into(), inputs: inputs.to_vec(), path: path.to_owned() });
        (self.nodes.len() - 1, 0)
    }

    /// An input of a batch.
    pub fn input(&mut self, name: &str, shape: &[usize], meaning: Meaning) -> ValueRef {
        self.add(Input { name: name.to_owned(), shape: shape.into(), meaning }, &[], "")
    }

    pub fn state(&mut self, path: &str, shape: &[usize], kind: StateKind, init: Init) -> ValueRef {
        let state = State { path: path.to_owned(), shape: shape.into(), kind, init, meaning: Meaning::F32 };
        self.add(state, &[], "")
    }

    pub fn norm(&mut self, x: ValueRef, channels: usize, path: &str) -> ValueRef {
        let mut vector =
            |name: &str, kind, value| self.state(&format!("{path}.{name}"), &[channels], kind, Init::Constant(value));
        let inputs = [
            x,
            vector("weight", StateKind::Parameter, 1.0),
            vector("bias", StateKind::Parameter, 0.0),
            vector("running_mean", StateKind::Statistic, 0.0),
            vector("running_var", StateKind::Statistic, 1.0),
        ];
        self.add(BatchNorm { eps: 1e-5, momentum: 0.1 }, &inputs, path)
    }

    pub fn finish(self, outputs: &[(&str, ValueRef)], layers: &[(&str, ValueRef)]) -> GraphSpec {
        let named = |list: &[(&str, ValueRef)]| list.iter().map(|&(name, at)| (name.to_owned(), at)).collect();
        GraphSpec { version: VERSION, nodes: self.nodes, outputs: named(outputs), layers: named(layers) }
    }
}

fn window(kernel: usize, stride: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2], dilation: [1; 2] }
}

/// conv1, bn1, relu; then conv2 (binary), bn2, + shortcut, relu; then the mean over the image and fc.
pub fn model() -> GraphSpec {
    model_of(|t, codes| {
        let conv2 = binary_conv(t, codes, WIDTH, "conv2");
        (conv2, t.norm(conv2, WIDTH, "bn2"))
    })
}

/// A binary 3×3 convolution of codes of the first one's channels.
pub fn binary_conv(t: &mut Trace, codes: ValueRef, channels: usize, path: &str) -> ValueRef {
    let weight = t.state(&format!("{path}.weight"), &[channels, WIDTH, 3, 3], StateKind::Latent, Init::KaimingNormal);
    let binarize = BinarizeWeight { scale: WeightScale::Channel, gradient: WeightGradient::Clip, groups: 1 };
    let (bits, _) = t.add(binarize, &[weight], path);
    t.add(BinaryConv2d { window: window(3, 1), pad_value: 0 }, &[codes, (bits, 0), (bits, 1)], path)
}

/// The same with another middle between the codes and the shortcut: a convolution that can be looked at, and the result.
pub fn model_of(middle: impl FnOnce(&mut Trace, ValueRef) -> (ValueRef, ValueRef)) -> GraphSpec {
    let mut t = Trace::default();
    let pixels =
        Input { name: "image".to_owned(), shape: [SIDE, SIDE, 1].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let image = t.add(pixels, &[], "image");
    let image = t.add(NormalizeImage { mean: vec![MEAN], std: vec![STD] }, &[image], "image");
    let w1 = t.state("conv1.weight", &[WIDTH, 1, 3, 3], StateKind::Parameter, Init::KaimingNormal);
    let conv1 = t.add(Conv2d { window: window(3, 1), groups: 1 }, &[image, w1], "conv1");
    let bn1 = t.norm(conv1, WIDTH, "bn1");
    let relu1 = t.add(Relu {}, &[bn1], "relu1");

    let codes = t.add(Step { gradient: Surrogate::Approx, groups: 1 }, &[relu1], "conv2");
    let (conv2, bn2) = middle(&mut t, codes);
    let sum = t.add(Arithmetic { function: ArithmeticFunction::Add }, &[bn2, relu1], "add");
    let relu2 = t.add(Relu {}, &[sum], "relu2");

    let pool = t.add(Reduce { reduction: Reduction::Mean, axes: vec![1, 2], keep: false }, &[relu2], "pool");
    let weight =
        t.state("fc.weight", &[CLASSES, WIDTH], StateKind::Parameter, Init::Uniform { low: -0.35, high: 0.35 });
    let bias = t.state("fc.bias", &[CLASSES], StateKind::Parameter, Init::Constant(0.0));
    let fc = t.add(Matmul { transpose_a: false, transpose_b: true }, &[pool, weight], "fc");
    let logits = t.add(Arithmetic { function: ArithmeticFunction::Add }, &[fc, bias], "fc");
    t.finish(&[("logits", logits)], &[("bn1", bn1), ("conv2", conv2), ("fc", logits)])
}

/// The model, and in the place of the activation's surrogate a graph: the polynomial of the others times a scalar of the host, `progress`.
pub fn model_with_custom_surrogate() -> GraphSpec {
    let mut t = Trace::default();
    let input = |name: &str| Input { name: name.to_owned(), shape: [].into(), meaning: Meaning::F32 };
    let (x, g) = (t.add(input("x"), &[], ""), t.add(input("g"), &[], ""));
    let progress = t.add(Scalar { name: "progress".to_owned() }, &[], "");
    let slope = t.add(SurrogateGrad { gradient: SurrogateSlope::Approx }, &[x, g], "");
    let dx = t.add(Arithmetic { function: ArithmeticFunction::Mul }, &[slope, progress], "");
    let spec = Box::new(t.finish(&[("dx", dx)], &[]));
    let mut model = model();
    for node in &mut model.nodes {
        if let Op::Step(step) = &mut node.op {
            step.gradient = Surrogate::Custom(spec.clone());
        }
    }
    model
}

/// conv1; then conv2 (binary), relu; then the mean over the image, a dropout if there is one, and fc: no image has a say in what becomes of another.
pub fn without_norms(dropout: Option<f32>) -> GraphSpec {
    let mut t = Trace::default();
    let pixels =
        Input { name: "image".to_owned(), shape: [SIDE, SIDE, 1].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let image = t.add(pixels, &[], "image");
    let image = t.add(NormalizeImage { mean: vec![MEAN], std: vec![STD] }, &[image], "image");
    let w1 = t.state("conv1.weight", &[WIDTH, 1, 3, 3], StateKind::Parameter, Init::KaimingNormal);
    let conv1 = t.add(Conv2d { window: window(3, 1), groups: 1 }, &[image, w1], "conv1");
    let codes = t.add(Step { gradient: Surrogate::Approx, groups: 1 }, &[conv1], "conv2");
    let w2 = t.state("conv2.weight", &[WIDTH, WIDTH, 3, 3], StateKind::Latent, Init::KaimingNormal);
    let binarize = BinarizeWeight { scale: WeightScale::Channel, gradient: WeightGradient::Clip, groups: 1 };
    let (bits, _) = t.add(binarize, &[w2], "conv2");
    let conv2 = t.add(BinaryConv2d { window: window(3, 1), pad_value: 0 }, &[codes, (bits, 0), (bits, 1)], "conv2");
    let relu = t.add(Relu {}, &[conv2], "relu");
    let mut pool = t.add(Reduce { reduction: Reduction::Mean, axes: vec![1, 2], keep: false }, &[relu], "pool");
    if let Some(p) = dropout {
        pool = t.add(Dropout { p, stream: 1 }, &[pool], "dropout");
    }
    let weight = t.state("fc.weight", &[CLASSES, WIDTH], StateKind::Parameter, Init::KaimingNormal);
    let logits = t.add(Matmul { transpose_a: false, transpose_b: true }, &[pool, weight], "fc");
    t.finish(&[("logits", logits)], &[])
}

/// The mean cross-entropy, and how many are correct.
pub fn objective() -> GraphSpec {
    objective_of(CLASSES as u32)
}

/// As [`objective`], for labels of that many classes.
pub fn objective_of(classes: u32) -> GraphSpec {
    let mut t = Trace::default();
    let logits = t.input("logits", &[], Meaning::F32);
    let label = t.input("label", &[], Meaning::Index { classes });
    let loss = t.add(SoftmaxCrossEntropy { label_smoothing: 0.0 }, &[logits, label], "loss");
    let correct = t.add(CountCorrect { k: 1 }, &[logits, label], "correct");
    t.finish(&[("loss", loss), ("correct", correct)], &[])
}

/// The mean square of logits − an input of the batch.
pub fn regression(target: &str, shape: &[usize]) -> GraphSpec {
    let mut t = Trace::default();
    let logits = t.input("logits", &[], Meaning::F32);
    let target = t.input(target, shape, Meaning::F32);
    let difference = t.add(Arithmetic::SUB, &[logits, target], "loss");
    let square = t.add(Arithmetic::MUL, &[difference, difference], "loss");
    let loss = t.add(Reduce { reduction: Reduction::Mean, axes: vec![0, 1], keep: false }, &[square], "loss");
    t.finish(&[("loss", loss)], &[])
}

/// Adam for the binary weight, SGD with momentum for all else; one learning rate each.
pub fn updates(network: &Network<Cpu>) -> Vec<Update> {
    let adam = Adam {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        clamp: Some(1.0),
        decoupled: false,
        amsgrad: false,
    };
    let sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4, clamp: None };
    let update = |state: &State| {
        let (rule, lr) = match state.kind {
            StateKind::Latent => (UpdateRule::Adam(adam.clone()), "binary"),
            StateKind::Parameter => (UpdateRule::Sgd(sgd.clone()), "rest"),
            StateKind::Statistic | StateKind::Moment | StateKind::Constant => return None,
        };
        Some(Update { path: state.path.clone(), rule, lr: lr.to_owned() })
    };
    network.states().filter_map(update).collect()
}

/// The learning rates.
pub const RATES: [(&str, f32); 2] = [("binary", 0.01), ("rest", 0.05)];

/// A fresh network on a backend.
pub fn network(cpu: Cpu) -> Network<Cpu> {
    Network::new(cpu, model(), 7).unwrap()
}

/// A network that is ready to train.
pub fn trainable(cpu: Cpu) -> Network<Cpu> {
    let mut network = network(cpu);
    compile(&mut network);
    network
}

/// Compiles the training step.
pub fn compile(network: &mut Network<Cpu>) {
    compile_with(network, &TrainingOptions::default());
}

/// Compiles the training step for an objective.
pub fn compile_for(network: &mut Network<Cpu>, objective: &GraphSpec) {
    let updates = updates(network);
    network.compile_training(objective, &updates, BATCH, &TrainingOptions::default()).unwrap();
}

/// Compiles the training step with options.
pub fn compile_with(network: &mut Network<Cpu>, options: &TrainingOptions) {
    let updates = updates(network);
    network.compile_training(&objective(), &updates, BATCH, options).unwrap();
}

/// Images and labels: noise with one bright quadrant, whose number is the class.
pub fn samples(len: usize) -> (Vec<u8>, Vec<u32>) {
    let (mut images, mut labels) = (Vec::with_capacity(len * PIXELS), Vec::with_capacity(len));
    for i in 0..len {
        let random = Random::new(99).child(i as u64);
        let label = random.below(PIXELS as u64, CLASSES);
        for place in 0..PIXELS {
            let quadrant = place / SIDE / (SIDE / 2) * 2 + place % SIDE / (SIDE / 2);
            images.push((random.below(place as u64, 100) + if quadrant == label { 120 } else { 0 }) as u8);
        }
        labels.push(label as u32);
    }
    (images, labels)
}

/// The samples as a dataset.
pub fn dataset(len: usize) -> Arc<InMemory> {
    let (images, labels) = samples(len);
    let shape = ImageShape { height: SIDE, width: SIDE, channels: 1 };
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    Arc::new(InMemory::new(shape, images, labels, classes).unwrap())
}

/// The pixels of all images of a dataset.
pub fn pixels(dataset: &dyn Dataset) -> Vec<u8> {
    let mut pixels = vec![0; dataset.len() * PIXELS];
    for (i, image) in pixels.chunks_exact_mut(PIXELS).enumerate() {
        dataset.read(i, image).unwrap();
    }
    pixels
}

/// One epoch of a dataset in order.
pub fn in_order(dataset: Arc<dyn Dataset>, batch: usize) -> Loader {
    let sampler = Arc::new(Sequential::new(dataset.len()));
    Loader::new(dataset, sampler, LoaderOptions::new(batch), SamplerState::default()).unwrap()
}

/// Shuffled batches of a dataset, from a place in it.
pub fn loader(dataset: &Arc<InMemory>, state: SamplerState) -> Loader {
    let sampler = Shuffle::new(dataset.len(), 5);
    let options = LoaderOptions { drop_last: true, ..LoaderOptions::new(BATCH) };
    Loader::new(dataset.clone(), Arc::new(sampler), options, state).unwrap()
}

/// Trains some steps, epoch after epoch; the losses.
pub fn train(network: &mut Network<Cpu>, loader: &mut Loader, steps: usize) -> Vec<f32> {
    let mut losses = Vec::new();
    while losses.len() < steps {
        losses.extend(network.train_next(loader, &RATES).unwrap().map(|report| report.loss));
    }
    losses
}

/// Everything that a network is, moments and step included, as the bytes of its file.
pub fn everything(network: &Network<Cpu>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network");
    network.save(&path, "").unwrap();
    fs::read(path).unwrap()
}

/// All states but moments, by path.
pub fn states(network: &Network<Cpu>) -> BTreeMap<String, Vec<f32>> {
    network.states().map(|state| (state.path.clone(), network.state(&state.path).unwrap())).collect()
}
