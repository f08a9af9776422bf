//! Fusing a frozen network changes no bit of what it computes.

#[path = "runner/model.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::{Cpu, Isa};
use binary_nets_exec::Run;
use binary_nets_graph::ops::{Affine, Arithmetic, BinaryConv2d, Fused, Input, Relu, Sign, State, StateKind, Surrogate};
use binary_nets_graph::passes::{Writes, dce, evaluation, freeze, fuse, fusion_report};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, Window};
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

/// How many nodes write codes by thresholds, and how many compute a second map beside the first.
fn thresholds_and_sides(fused: &Graph) -> [usize; 2] {
    let thresholds = fusion_report(fused).iter().filter(|row| row.writes == Writes::CodesByThreshold).count();
    let has_side = |fused: &Fused, inputs: usize| {
        fused.body.iter().any(|node| matches!(node.op, Op::Arithmetic(_)) && node.inputs.iter().all(|&i| i >= inputs))
    };
    let nodes = fused.nodes().iter();
    let sides = nodes.filter(|node| matches!(&node.op, Op::Fused(fused) if has_side(fused, node.inputs.len())));
    [thresholds, sides.count()]
}

#[test]
fn a_fused_network_computes_the_same_bits_everywhere() {
    for all in [false, true] {
        let mut counts = [0; 2];
        for (name, graph, inputs) in networks(all) {
            let fused = fuse(&graph).unwrap();
            assert!(fused.nodes().len() < graph.nodes().len(), "{name}");
            thresholds_and_sides(&fused).iter().zip(&mut counts).for_each(|(n, sum)| *sum += n);
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
        // Where each layer has a name, hardly a value is read by one node alone.
        assert!(all || counts.iter().all(|&n| n > 0), "{counts:?} thresholds and sides");
    }
}

const CHANNELS: usize = 70;

/// Codes of `bias + scale·(a·d + c)`, perhaps with the rectifier behind the affine; d is −3, −1, 1 or 3.
fn codes_of([a, c, scale, bias]: [f32; 4], relu: bool) -> (Graph, Inputs) {
    let mut graph = Graph::new(1);
    let mut op = |op: Op, inputs: &[Value]| graph.add(op, inputs, "layer").unwrap()[0];
    let x = op(Input { name: "x".to_owned(), shape: [6, 5, 3].into(), meaning: Meaning::F32 }.into(), &[]);
    let mut constant = |path: &str, shape: &[usize], meaning| {
        let init = Init::Constant(0.0);
        op(State { path: path.to_owned(), shape: shape.into(), kind: StateKind::Constant, init, meaning }.into(), &[])
    };
    let w = constant("w", &[CHANNELS, 1, 1, 3], Meaning::bits(binary_nets_bits::Codes::Sign));
    let [a_row, c_row, scale_row, bias_row] =
        ["a", "c", "scale", "bias"].map(|path| constant(path, &[CHANNELS], Meaning::F32));
    let sign = || Op::from(Sign { gradient: Surrogate::Clip, groups: 1 });
    let x = op(sign(), &[x]);
    let d = op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }.into(), &[x, w]);
    let mut y = op(Affine { border: None }.into(), &[d, a_row, c_row]);
    if relu {
        y = op(Relu {}.into(), &[y]);
    }
    let y = op(Arithmetic::MUL.into(), &[y, scale_row]);
    let y = op(Arithmetic::ADD.into(), &[bias_row, y]);
    let codes = op(sign(), &[y]);
    graph.set_output("codes", codes);
    let mut inputs = model::inputs(&graph, 5);
    for (path, number) in [("a", a), ("c", c), ("scale", scale), ("bias", bias)] {
        // One channel alone, in the last word: the others stay in range.
        let row = (0..CHANNELS).map(|channel| if channel == CHANNELS - 2 { number } else { 0.5 });
        inputs.tensors.insert(path.to_owned(), Values::F32(row.collect()));
    }
    (graph, inputs)
}

/// The code of a chain that overflows may turn twice, at NaN.
#[test]
fn numbers_that_leave_the_range_of_f32_change_no_bit() {
    let (most, infinite) = (1.2e38, f32::INFINITY);
    let cases = [
        // ±3·a is infinite, and 0·∞ no number, whose bit is 0; between them there is −1, whose bit is 1.
        [most, 0.0, 0.0, -1.0],
        [-most, 0.0, 0.0, -1.0],
        // ∞ at one end alone, or from the constants.
        [most, most, 0.0, -1.0],
        [most, 0.0, -2.5, -1.0],
        [most, 0.0, 2.5, -infinite],
        [1.0, infinite, -1.0, 0.5],
        [infinite, -1.0, 1.0, 0.5],
        [1.0, 0.0, infinite, -1.0],
        [1.0, 1.0, infinite, -1.0],
        [1.0, f32::NAN, 1.0, 0.0],
        [1.0, 0.0, 1.0, -1.5],
    ];
    for case in cases {
        for relu in [false, true] {
            let (graph, inputs) = codes_of(case, relu);
            let fused = fuse(&graph).unwrap();
            assert_eq!(thresholds_and_sides(&fused), [1, 0]);
            let images = [inputs];
            let expected = run(&Cpu::new(Some(1), Isa::Scalar).unwrap(), &graph, &images);
            for isa in Isa::available() {
                for threads in [1, 3] {
                    let got = run(&Cpu::new(Some(threads), isa).unwrap(), &fused, &images);
                    assert!(bits(&got) == bits(&expected), "{case:?}, relu {relu}: {} × {threads}", isa.name());
                }
            }
        }
    }
}
