//! Fusing a frozen network changes no bit of what it computes.

#[path = "runner/model.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::{Cpu, Isa};
use binary_nets_exec::Run;
use binary_nets_graph::passes::{dce, evaluation, freeze, fuse};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Op};
use runner::Planned;

/// The networks in `parity/specs.json`, a line each, as run graphs of one image with their constants; `all`: with every layer as an output.
fn networks(all: bool) -> Vec<(String, Graph, Inputs)> {
    let specs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/specs.json")).unwrap();
    let lines = specs.lines().filter_map(|line| line.split_once(": ")).map(|(name, spec)| {
        let spec = GraphSpec::parse(spec.trim_end_matches(',')).unwrap();
        (name.trim_matches('"').to_owned(), spec)
    });
    let models = lines.filter(|(_, spec)| spec.outputs.contains_key("logits"));
    let cpu = Cpu::new(Some(1), Isa::Scalar).unwrap();
    models
        .map(|(name, spec)| {
            let layers: Vec<&str> = spec.layers.keys().filter(|_| all).map(String::as_str).collect();
            let unfolded = dce(&evaluation(&spec.graph(1, &layers).unwrap()).unwrap()).unwrap();
            let frozen = freeze(&unfolded).unwrap();
            let fold = Planned::new(&cpu, &frozen.fold, 1).unwrap();
            let mut inputs = model::inputs(&unfolded, 3);
            fold.write(&inputs, 0);
            fold.run(&Run::default()).unwrap();
            inputs.tensors.extend(fold.read(0).outputs);
            (name, dce(&frozen.run).unwrap(), inputs)
        })
        .collect()
}

/// Images in which all numbers occur, three of them.
fn images(graph: &Graph, inputs: &Inputs) -> Vec<Inputs> {
    let image =
        graph.nodes().iter().find_map(|node| if let Op::Input(input) = &node.op { Some(&input.name) } else { None });
    let with = |i: i64| {
        let mut inputs = inputs.clone();
        if let Some(Values::I64(pixels)) = inputs.tensors.get_mut(image.unwrap()) {
            for x in pixels {
                *x = (*x + 85 * i) % 256;
            }
        }
        inputs
    };
    (0..3).map(with).collect()
}

fn run(cpu: &Cpu, graph: &Graph, images: &[Inputs]) -> Vec<Outputs> {
    let planned = Planned::new(cpu, graph, images.len()).unwrap();
    images.iter().enumerate().for_each(|(i, image)| planned.write(image, i));
    planned.run(&Run::default()).unwrap();
    (0..images.len()).map(|i| planned.read(i)).collect()
}

/// Down to the sign of zeroes.
fn bits(outputs: &[Outputs]) -> Vec<(&String, Vec<u32>)> {
    let of = |values: &Values| match values {
        Values::F32(data) => data.iter().map(|x| x.to_bits()).collect(),
        Values::I64(data) => data.iter().map(|&x| x as u32).collect(),
        Values::Codes(data) => data.iter().map(|&x| u32::from(x == 1)).collect(),
    };
    outputs.iter().flat_map(|outputs| &outputs.outputs).map(|(name, values)| (name, of(values))).collect()
}

#[test]
fn a_fused_network_computes_the_same_bits_everywhere() {
    for all in [false, true] {
        for (name, graph, inputs) in networks(all) {
            let fused = fuse(&graph).unwrap();
            assert!(fused.nodes().len() < graph.nodes().len(), "{name}");
            let images = images(&graph, &inputs);
            let expected = run(&Cpu::new(Some(1), Isa::Scalar).unwrap(), &graph, &images);
            let expected = bits(&expected);
            // Numbers that differ from image to image and are finite.
            assert!(expected.iter().all(|(_, x)| x.iter().all(|&x| f32::from_bits(x).is_finite())), "{name}");
            assert_ne!(expected[0], expected[expected.len() / 3], "{name}");
            for isa in Isa::available() {
                for threads in [1, 2, 5] {
                    let cpu = Cpu::new(Some(threads), isa).unwrap();
                    // All images at once, and each alone on all threads.
                    let together = run(&cpu, &fused, &images);
                    let apart: Vec<Outputs> =
                        images.iter().flat_map(|image| run(&cpu, &fused, std::slice::from_ref(image))).collect();
                    for got in [together, apart] {
                        assert!(bits(&got) == expected, "{name}, all {all}: {} on {threads} threads", isa.name());
                    }
                }
            }
        }
    }
}
