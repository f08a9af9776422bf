//! A frozen network, op by op against the unfolded reference: each op of the unfolded graph is fed what the frozen program itself computed, and
//! must yield what the frozen program goes on with.

#[path = "runner/model.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use std::collections::BTreeMap;

use binary_nets_conformance::Tensor;
use binary_nets_conformance::reference::{Randomness, evaluate};
use binary_nets_conformance::suite::{Case, Inputs, Outputs, Values, check};
use binary_nets_cpu::{Cpu, Isa};
use binary_nets_exec::Run;
use binary_nets_graph::ops::{
    Arithmetic, BatchNormInference, BinarizeWeight, BinaryConv2d, Conv2d, Input, NegativeGradient, NormalizeImage,
    Sign, State, StateKind, Surrogate, TernarizeWeight, TernaryConv2d, WeightGradient, WeightScale,
};
use binary_nets_graph::passes::{evaluation, freeze};
use binary_nets_graph::{Graph, Init, Meaning, Node, Op, Value, Window};
use runner::Planned;

/// Everything that the frozen network computes on the way, by the unfolded graph's values.
fn frozen(cpu: &Cpu, unfolded: &Graph, given: &Inputs) -> Outputs {
    let frozen = freeze(unfolded).unwrap();
    let fold = Planned::new(cpu, &frozen.fold, 1).unwrap();
    fold.write(given, 0);
    fold.run(&Run::default()).unwrap();
    let mut constants = given.clone();
    constants.tensors.extend(fold.read(0).outputs);
    let run = Planned::new(cpu, &frozen.run, 1).unwrap();
    run.write(&constants, 0);
    run.run(&Run::default()).unwrap();
    run.read(0)
}

/// The weights that the frozen stem really has: i16 with one scale a channel, the image's normalisation taken out again.
fn rounded_stem(weights: &Values, shape: &[usize], normalize: &NormalizeImage) -> Values {
    let Values::F32(weights) = weights else { panic!("weights are floats") };
    let taps = shape[2] * shape[3];
    let factor = |i: usize| 255.0 * normalize.std[i / taps % shape[1]];
    let rounded = weights.chunks(shape[1] * taps).flat_map(|channel| {
        let folded: Vec<f64> = channel.iter().enumerate().map(|(i, &w)| f64::from(w) / factor(i)).collect();
        let scale = folded.iter().fold(0.0, |most: f64, v| most.max(v.abs())) / 32767.0;
        let rounded =
            folded.iter().enumerate().map(|(i, v)| ((v / scale).round_ties_even() * scale * factor(i)) as f32);
        rounded.collect::<Vec<_>>()
    });
    Values::F32(rounded.collect())
}

/// One node alone, its inputs as states.
fn alone(graph: &Graph, node: &Node, values: impl Fn(Value) -> Values) -> Case {
    let mut case = Case { name: node.path.clone(), graph: Graph::new(graph.batch()), inputs: Inputs::default() };
    let mut inputs = Vec::new();
    for &value in &node.inputs {
        let meta = graph.meta(value).clone();
        let path = value.to_string();
        let state = State {
            path: path.clone(),
            shape: meta.shape,
            kind: StateKind::Constant,
            init: Init::Constant(0.0),
            meaning: meta.meaning,
        };
        inputs.push(case.graph.add_one(state, &[], "").unwrap());
        case.inputs.tensors.insert(path, values(value));
    }
    for (to, from) in case.graph.add(node.op.clone(), &inputs, &node.path).unwrap().into_iter().zip(&node.outputs) {
        case.graph.set_output(&from.to_string(), to);
    }
    case
}

#[test]
fn every_op_of_a_frozen_network_is_the_unfolded_one() {
    for isa in Isa::available() {
        let cpu = Cpu::new(Some(2), isa).unwrap();
        let mut unfolded = evaluation(&model::forward(1)).unwrap();
        for node in unfolded.nodes().to_vec().iter().filter(|node| !node.op.is_leaf()) {
            node.outputs.iter().for_each(|&value| unfolded.set_output(&value.to_string(), value));
        }
        let given = model::inputs(&unfolded, 7);
        let computed = frozen(&cpu, &unfolded, &given);
        let normalize = |value: Value| {
            if let Op::NormalizeImage(normalize) = &unfolded.producer(value).op { Some(normalize) } else { None }
        };
        let mut compared = 0;
        for node in unfolded.nodes().iter().filter(|node| !node.op.is_leaf()) {
            let stem = matches!(node.op, Op::Conv2d(_)).then(|| normalize(node.inputs[0])).flatten();
            let values = |value: Value| match (&unfolded.producer(value).op, stem) {
                (Op::State(state), Some(normalize)) => {
                    rounded_stem(&given.tensors[&state.path], &state.shape, normalize)
                }
                (Op::State(State { path: name, .. }), None) => given.tensors[name].clone(),
                (Op::Input(input), _) => given.tensors[&input.name].clone(),
                _ => computed.outputs[&value.to_string()].clone(),
            };
            let case = alone(&unfolded, node, values);
            check(&case, &computed).unwrap_or_else(|error| panic!("{} on {}: {error}", node.op.name(), isa.name()));
            compared += 1;
        }
        assert!(compared > 15, "only {compared} ops");
    }
}

/// A graph under construction; its leaves are filled by [`model::inputs`].
struct Builder(Graph);

impl Builder {
    fn op(&mut self, op: impl Into<Op>, inputs: &[Value], path: &str) -> Value {
        self.0.add(op, inputs, path).unwrap()[0]
    }

    fn state(&mut self, path: &str, shape: &[usize]) -> Value {
        let init = Init::Constant(0.0);
        let kind = StateKind::Parameter;
        let state = State { path: path.to_owned(), shape: shape.into(), kind, init, meaning: Meaning::F32 };
        self.op(state, &[], "")
    }

    /// A norm, and a number for each channel.
    fn constants(&mut self, x: Value, name: &str) -> Value {
        let channels = [self.0.meta(x).shape.channels()];
        let norm = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.state(&format!("{name}.norm.{part}"), &channels));
        let x = self.op(BatchNormInference { eps: 1e-5 }, &[&[x], &norm[..]].concat(), &format!("{name}.norm"));
        let factor = self.state(&format!("{name}.factor"), &channels);
        self.op(Arithmetic::MUL, &[x, factor], name)
    }

    fn codes(&mut self, name: &str, groups: usize) -> Value {
        let shape = [12, 12, 70].into();
        let x = self.op(Input { name: name.to_owned(), shape, meaning: Meaning::F32 }, &[], "");
        self.op(Sign { gradient: Surrogate::Clip, groups }, &[x], name)
    }
}

/// A stem, a binary and a ternary convolution, each in front of a norm and a product.
fn runs_of_constants() -> Graph {
    let mut b = Builder(Graph::new(1));
    let window = Window::square(3, 1, 1);
    let image = Input { name: "image".into(), shape: [12, 12, 3].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let image = b.op(image, &[], "");
    let x = b.op(NormalizeImage { mean: vec![0.5; 3], std: vec![0.25; 3] }, &[image], "");
    let w = b.state("stem.weight", &[32, 3, 3, 3]);
    let stem = b.op(Conv2d { window, groups: 1 }, &[x, w], "stem");

    let codes = b.codes("binary", 1);
    let w = b.state("binary.weight", &[33, 70, 3, 3]);
    let binarize = BinarizeWeight { scale: WeightScale::Channel, gradient: WeightGradient::Clip, groups: 1 };
    let q = b.0.add(binarize, &[w], "binary").unwrap();
    let binary = b.op(BinaryConv2d { window, pad_value: 0 }, &[codes, q[0], q[1]], "binary");

    let codes = b.codes("ternary", 2);
    let w = b.state("ternary.weight", &[34, 35, 3, 3]);
    let values = ["w_p", "w_n"].map(|value| b.state(&format!("ternary.{value}"), &[1]));
    let ternarize = TernarizeWeight { threshold: 0.4, negative_gradient: NegativeGradient::Exact };
    let q = b.0.add(ternarize, &[w, values[0], values[1]], "ternary").unwrap();
    let conv = TernaryConv2d { window, pad_value: 0 };
    let ternary = b.op(conv, &[codes, q[0], q[1], values[0], values[1]], "ternary");

    for (name, x) in [("stem", stem), ("binary", binary), ("ternary", ternary)] {
        let y = b.constants(x, name);
        b.0.set_output(name, y);
    }
    b.0
}

fn floats(outputs: &Outputs, name: &str) -> Vec<f32> {
    let Values::F32(data) = &outputs.outputs[name] else { panic!("'{name}' has floats") };
    data.clone()
}

#[test]
fn frozen_runs_of_constants_are_the_same_everywhere_and_close_to_what_they_fold() {
    let graph = runs_of_constants();
    let given = model::inputs(&graph, 11);
    let base = frozen(&Cpu::new(Some(1), Isa::Scalar).unwrap(), &graph, &given);
    for isa in Isa::available() {
        for threads in [1, 2, 5] {
            let got = frozen(&Cpu::new(Some(threads), isa).unwrap(), &graph, &given);
            for name in ["stem", "binary", "ternary"] {
                let bits = |outputs: &Outputs| floats(outputs, name).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert!(bits(&got) == bits(&base), "{name} on {} × {threads}", isa.name());
            }
        }
    }

    let mut tensors = BTreeMap::new();
    for node in graph.nodes().iter().filter(|node| node.op.is_leaf()) {
        let (meta, name) = match (&node.op, graph.meta(node.outputs[0])) {
            (Op::State(state), meta) => (meta, &state.path),
            (Op::Input(input), meta) => (meta, &input.name),
            (op, _) => panic!("{} is no leaf of this graph", op.name()),
        };
        let mut values = given.tensors[name].clone();
        if name == "stem.weight" {
            values = rounded_stem(&values, &meta.shape, &NormalizeImage { mean: vec![0.5; 3], std: vec![0.25; 3] });
        }
        tensors.insert(name.clone(), Tensor::new(meta.shape.clone(), values.numbers(meta.meaning).unwrap()));
    }
    let unfolded = evaluate(&graph, &tensors, Randomness::default()).unwrap();
    for (name, products) in [("stem", 27.0 * 2.0), ("binary", 630.0), ("ternary", 2.0 * 315.0)] {
        // With variances of 1, scales and factors up to 1 and a window of so much, no term of the affine is larger than that; its roundings, those of its
        // constants and of the stem's weights taken back are a few parts in 2²⁴ of it.
        let tolerance = 4.0 * f64::from(f32::EPSILON) * (products + 2.0);
        let expected = unfolded.value(graph.output(name).unwrap());
        for (i, (got, expected)) in floats(&base, name).into_iter().zip(&expected.data).enumerate() {
            assert!((f64::from(got) - expected).abs() <= tolerance, "{name} {i}: {got} for {expected}");
        }
        let most = expected.data.iter().fold(0.0, |max: f64, y| max.max(y.abs()));
        assert!(most > 1e3 * tolerance, "{name} is too small to tell");
    }
}
