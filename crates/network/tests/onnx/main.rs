//! A frozen network that went through ONNX says what it said before, and models of others say what ONNX says they say.

#[path = "../../../formats/tests/onnx/builder.rs"]
#[expect(dead_code, reason = "files that are refused need more of it")]
mod builder;
mod foreign;
#[path = "../../../formats/tests/onnx/graphs.rs"]
mod graphs;
mod oracle;

use std::path::Path;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_formats::model::{Metadata, Model, Normalize};
use binary_nets_formats::onnx::{Form, export, import};
use binary_nets_graph::Op;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_network::{Floats, FrozenNetwork, Network};

/// A stored graph of `parity/`, frozen as it starts, with the normalisation that it does.
fn frozen(name: &str, floats: Floats) -> Model {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/specs.json"));
    let specs: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let spec = GraphSpec::parse(&specs[name].to_string()).unwrap();
    let normalize = spec.nodes.iter().find_map(|node| match &node.op {
        Op::NormalizeImage(op) => Some(Normalize { mean: op.mean.clone(), std: op.std.clone() }),
        _ => None,
    });
    Network::new(cpu(), spec, 7).unwrap().freeze(floats, Metadata { normalize, ..Metadata::default() }).unwrap()
}

fn cpu() -> Cpu {
    Cpu::new(Some(1), Isa::available()[0]).unwrap()
}

/// The outputs for two images, one after the other.
fn outputs(model: &Model) -> Vec<f32> {
    let image = model.graph.nodes.iter().find_map(|node| match &node.op {
        Op::Input(input) => Some(input.shape.elements()),
        _ => None,
    });
    let pixels: Vec<u8> = (0..2 * image.unwrap()).map(|i| (i * i * 31 % 251) as u8).collect();
    let predictions = FrozenNetwork::new(cpu(), model.clone()).unwrap().predict(&pixels, 2, &[]).unwrap();
    predictions.into_iter().flat_map(|prediction| prediction.data).collect()
}

#[test]
fn outputs_survive_onnx_but_for_the_last_digits_of_the_stem() {
    for name in ["binary-resnet18", "bi-real-resnet18", "one-padding"] {
        for floats in [Floats::F32, Floats::F16, Floats::Int8] {
            let model = frozen(name, floats);
            let expected = outputs(&model);
            for form in [Form::Portable, Form::Compact] {
                let imported = import(&export(&model, form).unwrap(), None).unwrap();
                let mut network = Network::new(cpu(), imported.spec, 0).unwrap();
                for state in &imported.states {
                    network.set_state(&state.path, &state.data).unwrap();
                }
                let got = outputs(&network.freeze(Floats::F32, imported.metadata).unwrap());
                // A stem's a and c that are one rounding off, then some dozen sums; no number of these is that near to a threshold.
                let most = expected.iter().fold(0.0f32, |most, x| most.max(x.abs())) * 2e-6;
                let differs = got.iter().zip(&expected).any(|(a, b)| (a - b).abs() > most);
                assert!(
                    got.len() == expected.len() && !differs,
                    "{name} {floats:?} {form:?}: {got:?}, not {expected:?}"
                );
            }
        }
    }
}
