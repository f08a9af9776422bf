//! A frozen network, op by op against the unfolded reference: each op of the unfolded graph is fed what the frozen program itself computed, and
//! must yield what the frozen program goes on with.

#[path = "runner/model.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use binary_nets_conformance::suite::{Case, Inputs, Outputs, Values, check};
use binary_nets_cpu::{Cpu, Isa};
use binary_nets_exec::Run;
use binary_nets_graph::ops::{NormalizeImage, State, StateKind};
use binary_nets_graph::passes::{evaluation, freeze};
use binary_nets_graph::{Graph, Init, Node, Op, Value};
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
