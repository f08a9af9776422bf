//! Training and evaluation against the runs that `PyTorch` made in `parity/`: same images, same initial numbers, ten steps.

use std::path::Path;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_graph::Op;
use binary_nets_graph::ops::{Sgd, State, StateKind};
use binary_nets_graph::passes::{Update, UpdateRule};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_network::{Network, TensorView, TrainingOptions};
use safetensors::SafeTensors;

/// Of a loss. `PyTorch` computes in f64; f32 goes astray by about 1e-6.
const LOSS: f32 = 1e-4;
/// Of the largest element of a gradient or of a state.
const TENSOR: f32 = 1e-3;
/// Of the largest logit.
const LOGIT: f32 = 1e-4;

/// A stored run.
struct Run {
    name: &'static str,
    bytes: Vec<u8>,
    spec: GraphSpec,
    objective: GraphSpec,
}

impl Run {
    fn open(name: &'static str) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity"));
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("the stored run");
        let specs = std::fs::read_to_string(folder.join("specs.json")).expect("the stored graphs");
        let specs: serde_json::Value = serde_json::from_str(&specs).expect("JSON");
        let spec = |name: &str| GraphSpec::parse(&specs[name].to_string()).expect("a graph");
        Self { name, spec: spec(name), objective: spec("cross-entropy"), bytes }
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("safetensors")
    }

    fn bytes(&self, tensor: &str) -> Vec<u8> {
        self.file().tensor(tensor).unwrap_or_else(|e| panic!("{tensor}: {e}")).data().to_vec()
    }

    fn floats(&self, tensor: &str) -> Vec<f32> {
        self.bytes(tensor).as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    /// A number of the run's optimizer.
    fn number(&self, name: &str) -> f32 {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).expect("safetensors");
        header.metadata().as_ref().expect("metadata")[name].parse().expect("a number")
    }

    fn states(&self) -> impl Iterator<Item = &State> {
        self.spec.nodes.iter().filter_map(|node| if let Op::State(state) = &node.op { Some(state) } else { None })
    }

    fn parameters(&self) -> impl Iterator<Item = &State> {
        self.states().filter(|state| state.kind != StateKind::Statistic)
    }

    /// A network with the states called `initial` or `final`, ready to train.
    fn network(&self, states: &str, rule: impl Fn(&State) -> Sgd) -> Network<Cpu> {
        let cpu = Cpu::new(Some(2), Isa::from_env().expect("an instruction set")).expect("a backend");
        let mut network = Network::new(cpu, self.spec.clone(), 1).expect("a network");
        let update = |state: &State| Update {
            path: state.path.clone(),
            rule: UpdateRule::Sgd(rule(state)),
            lr: "lr".to_owned(),
        };
        let updates: Vec<Update> = self.parameters().map(update).collect();
        network
            .compile_training(&self.objective, &updates, self.bytes("label").len() / 4, &TrainingOptions::default())
            .expect("a training step");
        for state in self.states() {
            let values = self.floats(&format!("{states}.{}", state.path));
            network.set_state(&state.path, &values).expect("a state of that size");
        }
        network
    }

    fn step(&self, network: &mut Network<Cpu>, lr: f32) -> f32 {
        let image = self.bytes("image");
        let label: Vec<u32> = self.bytes("label").as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        let batch = [("image", TensorView::U8(&image)), ("label", TensorView::U32(&label))];
        network.train_step(&batch, &[("lr", lr)]).expect("a step").loss
    }

    /// Compares with a stored tensor, relative to its largest element.
    fn assert_close(&self, got: &[f32], tensor: &str, tolerance: f32) {
        let expected = self.floats(tensor);
        assert_eq!(got.len(), expected.len(), "{}: {tensor}", self.name);
        let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
        let error = got.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest;
        assert!(error <= tolerance, "{}: {tensor} is off by {error:e} of its largest element", self.name);
    }
}

fn plain_sgd(_: &State) -> Sgd {
    Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None }
}

fn train_ten_steps(name: &'static str) {
    let run = Run::open(name);
    let rule = |state: &State| {
        let latent = state.kind == StateKind::Latent;
        Sgd {
            momentum: run.number("momentum"),
            nesterov: false,
            weight_decay: if latent { 0.0 } else { run.number("weight_decay") },
            clamp: latent.then(|| run.number("clamp")),
        }
    };
    let mut network = run.network("initial", rule);
    for (step, expected) in run.floats("losses").into_iter().enumerate() {
        let loss = run.step(&mut network, run.number("lr"));
        assert!((loss - expected).abs() <= LOSS, "{name}, step {step}: loss {loss}, but PyTorch's is {expected}");
    }
    for state in run.states() {
        let values = network.state(&state.path).expect("a state");
        run.assert_close(&values, &format!("final.{}", state.path), TENSOR);
    }
}

fn first_gradients(name: &'static str) {
    let run = Run::open(name);
    let mut network = run.network("initial", plain_sgd);
    run.step(&mut network, 1.0);
    for state in run.parameters() {
        // With learning rate 1 and nothing else, the step is the gradient.
        let before = run.floats(&format!("initial.{}", state.path));
        let after = network.state(&state.path).expect("a state");
        let gradient: Vec<f32> = before.iter().zip(&after).map(|(before, after)| before - after).collect();
        run.assert_close(&gradient, &format!("gradient.{}", state.path), TENSOR);
    }
}

/// The frozen program, which evaluates and ships, with the running statistics of the end of the run.
fn logits(name: &'static str) {
    let run = Run::open(name);
    let mut network = run.network("final", plain_sgd);
    let image = run.bytes("image");
    let count = run.file().tensor("image").expect("images").shape()[0];
    let predictions = network.predict(&image, count, &["logits"]).expect("logits");
    run.assert_close(&predictions[0].data, "logits", LOGIT);
}

macro_rules! runs {
    ($($test:ident $name:literal)*) => {$(
        mod $test {
            #[test]
            fn ten_steps_give_the_same_losses_and_states() {
                super::train_ten_steps($name);
            }

            #[test]
            fn the_first_step_has_the_same_gradients() {
                super::first_gradients($name);
            }

            #[test]
            fn the_trained_network_gives_the_same_logits() {
                super::logits($name);
            }
        }
    )*};
}

runs! {
    binary_resnet18 "binary-resnet18"
    bi_real_resnet18 "bi-real-resnet18"
    one_padding "one-padding"
}
