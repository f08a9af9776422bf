//! A frozen network says, bit by bit, what the network said that it was frozen from: in memory and from a file, on every instruction set, with any number of threads and images.

mod tiny;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_data::{Dataset, ImageShape, InMemory, Loader, SamplerState};
use binary_nets_exec::Layout;
use binary_nets_formats::model::{Constant, Elements, Metadata, Model, Normalize};
use binary_nets_formats::onnx::Form;
use binary_nets_formats::packed::{Storage, decode, encode};
use binary_nets_graph::ops::{Arithmetic, Fill, Input, NormalizeImage, Relu};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Meaning, Op, Value, ValueMeta};
use binary_nets_network::{Floats, FrozenNetwork, LayerKind, Network, NetworkError, Prediction};
use tiny::{CLASSES, MEAN, STD, cpu, dataset, in_order, loader, train, trainable};

/// A stored graph of `parity/`, with random running statistics: fresh ones would fold to nearly nothing.
fn stored(name: &str) -> Network<Cpu> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/specs.json"));
    let specs: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let spec = GraphSpec::parse(&specs[name].to_string()).unwrap();
    let mut network = Network::new(cpu(2), spec, 7).unwrap();
    let states: Vec<_> = network.states().cloned().collect();
    let mut random = random(3);
    for state in states {
        let spread = |center: f32, random: &mut dyn FnMut() -> u64| -> Vec<f32> {
            (0..state.shape.elements()).map(|_| center + (random() % 1000) as f32 / 1000.0 - 0.5).collect()
        };
        let last = state.path.rsplit('.').next().unwrap();
        match last {
            "running_mean" | "bias" => network.set_state(&state.path, &spread(0.0, &mut random)).unwrap(),
            "running_var" => network.set_state(&state.path, &spread(1.0, &mut random)).unwrap(),
            _ => {}
        }
    }
    network
}

/// Numbers that look random (Marsaglia 2003).
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut x = seed;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x >> 8
    }
}

fn pixels(network: &Network<Cpu>, count: usize) -> Vec<u8> {
    let image = network.spec().nodes.iter().find_map(|node| match &node.op {
        Op::Input(Input { shape, .. }) => Some(shape.elements()),
        _ => None,
    });
    let mut random = random(11);
    (0..image.unwrap() * count).map(|_| random() as u8).collect()
}

fn bits(predictions: &[Prediction]) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let each = |p: &Prediction| (p.name.clone(), p.shape.clone(), p.data.iter().map(|x| x.to_bits()).collect());
    predictions.iter().map(each).collect()
}

/// So many of those images as an epoch.
fn epoch(network: &Network<Cpu>, count: usize) -> Loader {
    let image = network.spec().nodes.iter().find_map(|node| match &node.op {
        Op::Input(Input { shape, .. }) => Some(ImageShape { height: shape[0], width: shape[1], channels: shape[2] }),
        _ => None,
    });
    let images = pixels(network, count);
    in_order(Arc::new(InMemory::new(image.unwrap(), images, vec![0; count], vec!["0".to_owned()]).unwrap()), 8)
}

#[test]
fn a_frozen_network_predicts_what_the_network_predicted_wherever_it_runs() {
    for name in ["binary-resnet18", "bi-real-resnet18", "one-padding"] {
        let mut network = stored(name);
        let model = network.freeze(Floats::F32, Metadata::default()).unwrap();
        let images = pixels(&network, 70);
        runs_alike(name, &model, &images, |images, count| network.predict(images, count, &[]).unwrap());
    }
}

#[test]
fn ends_of_8_bits_are_the_same_wherever_they_run() {
    for name in ["binary-resnet18", "bi-real-resnet18", "one-padding"] {
        let mut network = stored(name);
        let images = pixels(&network, 70);
        let model = network.freeze_int8(Floats::F32, &mut epoch(&network, 70), Metadata::default()).unwrap();
        let mut scalar = FrozenNetwork::new(Cpu::new(Some(1), Isa::Scalar).unwrap(), model.clone()).unwrap();
        runs_alike(name, &model, &images, |images, count| {
            let one = |image: &[u8]| scalar.predict(image, 1, &[]).unwrap();
            let mut each = images.chunks(images.len() / count).map(one);
            let mut all = each.next().unwrap();
            for image in each {
                for (all, image) in all.iter_mut().zip(image) {
                    all.shape[0] += 1;
                    all.data.extend(image.data);
                }
            }
            all
        });

        // No product is left in floats, and no weight of one but the classifier's bias.
        let ops: Vec<&str> = model.graph.nodes.iter().map(|node| node.op.name()).collect();
        assert!(!ops.contains(&"conv2d") && !ops.contains(&"matmul"), "{ops:?}");
        let bytes = model.constants.iter().filter(|constant| Storage::of(constant).name() == "i8").count();
        assert_eq!(bytes, ops.iter().filter(|&&op| op == "image_conv2d").count());
        // What it says is near.
        let near = scalar.predict(&images, 70, &[]).unwrap();
        for (near, exact) in near.iter().zip(network.predict(&images, 70, &[]).unwrap()) {
            let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let error = norm(&mut near.data.iter().zip(&exact.data).map(|(a, b)| a - b));
            let size = norm(&mut exact.data.iter().copied());
            assert!(error > 0.0 && error < 0.4 * size, "{name}: {error} of {size}");
        }
    }
}

#[test]
fn ends_of_8_bits_need_images_and_finite_numbers() {
    let mut network = stored("one-padding");
    let mut images = epoch(&network, 3);
    while images.next_batch().unwrap().is_some() {}
    let mut again = epoch(&network, 3);
    for name in ["conv1.weight", "fc.weight"] {
        let weights = network.state(name).unwrap();
        network.set_state(name, &vec![f32::NAN; weights.len()]).unwrap();
        let error = network.freeze_int8(Floats::F32, &mut epoch(&network, 3), Metadata::default()).unwrap_err();
        assert!(error.to_string().contains("NaN") || error.to_string().contains("not finite"), "{name}: {error}");
        network.set_state(name, &weights).unwrap();
    }
    network.freeze_int8(Floats::F32, &mut again, Metadata::default()).unwrap();
}

/// Checks that a model says what it should on every instruction set, with any number of threads and images, in memory and from a file.
fn runs_alike(name: &str, model: &Model, images: &[u8], mut predict: impl FnMut(&[u8], usize) -> Vec<Prediction>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.bnn");
    let first = FrozenNetwork::new(cpu(1), model.clone()).unwrap();
    assert_eq!(first.save(&file).unwrap() as u64, file.metadata().unwrap().len());
    for count in [1, 3, 64, 70] {
        let images = &images[..images.len() / 70 * count];
        let expected = bits(&predict(images, count));
        for isa in Isa::available() {
            for threads in [1, 2] {
                let backend = || Cpu::new(Some(threads), isa).unwrap();
                let mut kept = FrozenNetwork::new(backend(), model.clone()).unwrap();
                let mut opened = FrozenNetwork::open(backend(), &file).unwrap();
                assert_eq!(**opened.model(), *model);
                for (frozen, what) in [(&mut kept, "kept"), (&mut opened, "opened")] {
                    let got = bits(&frozen.predict(images, count, &[]).unwrap());
                    assert!(got == expected, "{name}, {what}, {count} images, {threads} threads, {isa:?}");
                }
            }
        }
    }
}

/// 66 images are 64 and 2, each by a program of its own, not twice 64.
#[test]
fn the_last_images_cost_what_they_are() {
    let mut network = stored("binary-resnet18");
    let model = network.freeze(Floats::F32, Metadata::default()).unwrap();
    let images = pixels(&network, 66);
    let mut frozen = FrozenNetwork::new(cpu(2), model).unwrap();
    frozen.predict(&images, 66, &[]).unwrap();
    let bytes = frozen.bytes();
    // The program of two images is there already.
    frozen.predict(&images[..images.len() / 33], 2, &[]).unwrap();
    assert_eq!(frozen.bytes(), bytes);
    // That of four is not.
    frozen.predict(&images[..images.len() / 66 * 3], 3, &[]).unwrap();
    assert!(frozen.bytes() > bytes);
}

/// All outputs by name are what runs where none are named, and take no memory again.
#[test]
fn outputs_that_are_named_are_the_same_program() {
    let mut network = stored("binary-resnet18");
    let model = network.freeze(Floats::F32, Metadata::default()).unwrap();
    let names: Vec<String> = model.graph.outputs.keys().cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let image = pixels(&network, 1);
    let mut frozen = FrozenNetwork::new(cpu(1), model).unwrap();
    let expected = bits(&frozen.predict(&image, 1, &[]).unwrap());
    let bytes = frozen.bytes();
    assert_eq!(bits(&frozen.predict(&image, 1, &names).unwrap()), expected);
    assert_eq!(frozen.bytes(), bytes);
}

/// The nearest number with 11 bits; of those that are no smaller than 2⁻¹⁴, the nearest 16-bit float.
fn half(x: f32) -> f32 {
    let ulp = 2f64.powf(f64::from(x).abs().log2().floor().max(-14.0) - 10.0);
    ((f64::from(x) / ulp).round_ties_even() * ulp) as f32
}

/// 8 bits with a scale for each of the outputs, which are the first axis.
fn eight_bits(weights: &[f32], outputs: usize) -> Vec<f32> {
    let rounded = weights.chunks(weights.len() / outputs).flat_map(|row| {
        let scale = (f64::from(row.iter().fold(0f32, |most, w| most.max(w.abs()))) / 127.0) as f32;
        row.iter().map(move |&w| (f64::from(w) / f64::from(scale)).round_ties_even() as f32 * scale)
    });
    rounded.collect()
}

#[test]
fn weights_in_fewer_bits_are_those_of_a_network_that_has_them_rounded() {
    for (floats, storages) in [(Floats::F16, ["f16"].as_slice()), (Floats::Int8, &["i8", "f32"])] {
        let mut network = stored("bi-real-resnet18");
        let images = pixels(&network, 5);
        let exact = network.predict(&images, 5, &[]).unwrap();
        let model = network.freeze(floats, Metadata::default()).unwrap();
        let mut frozen = FrozenNetwork::new(cpu(2), decode(&encode(&model).unwrap()).unwrap()).unwrap();
        let predicted = frozen.predict(&images, 5, &[]).unwrap();
        assert!(bits(&predicted) != bits(&exact), "{floats:?} changes something");

        let paths: Vec<String> = network.states().map(|state| state.path.clone()).collect();
        let mut rounded = 0;
        for path in paths {
            let stored = |suffix: &str| model.constants.iter().find(|c| c.path == format!("{path}{suffix}"));
            let Some(constant) = stored("").or(stored(".q")).filter(|c| storages[0] == Storage::of(c).name()) else {
                continue;
            };
            if let Some(scale) = stored(".s") {
                assert_eq!(Storage::of(scale).name(), storages[1]);
            }
            let weights = network.state(&path).unwrap();
            let weights = match floats {
                Floats::F32 => weights,
                Floats::F16 => weights.into_iter().map(half).collect(),
                Floats::Int8 => eight_bits(&weights, constant.meta.shape[0]),
            };
            network.set_state(&path, &weights).unwrap();
            rounded += 1;
        }
        // The classifier and three shortcuts.
        assert_eq!(rounded, 4, "{floats:?}");
        assert!(bits(&network.predict(&images, 5, &[]).unwrap()) == bits(&predicted), "{floats:?}");
        // Done once, when it was made.
        assert!(!frozen.kernels().iter().any(|kernel| kernel.starts_with("dequantize")), "{:?}", frozen.kernels());
    }
}

#[test]
fn weights_beyond_16_bits_are_refused_by_name() {
    let mut network = stored("one-padding");
    let weights = vec![1e5; network.state("fc.weight").unwrap().len()];
    network.set_state("fc.weight", &weights).unwrap();
    let error = network.freeze(Floats::F16, Metadata::default()).unwrap_err();
    assert!(error.to_string().contains("'fc.weight' has numbers that 16-bit floats do not reach"), "{error}");
    network.freeze(Floats::Int8, Metadata::default()).unwrap();
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name_where_they_are_rounded() {
    let mut network = stored("one-padding");
    let weights = network.state("fc.weight").unwrap();
    for (wrong, in_16, in_8) in [
        (f32::NAN, "are NaN, which fewer bits have no place for", "are NaN, which fewer bits have no place for"),
        (f32::INFINITY, "16-bit floats do not reach", "has infinite numbers, which 8 bits do not reach"),
        (f32::NEG_INFINITY, "16-bit floats do not reach", "has infinite numbers, which 8 bits do not reach"),
    ] {
        // Before and behind larger ones.
        for at in [0, weights.len() - 1] {
            let mut weights = weights.clone();
            weights[at] = wrong;
            network.set_state("fc.weight", &weights).unwrap();
            for (floats, expected) in [(Floats::F16, in_16), (Floats::Int8, in_8)] {
                let error = network.freeze(floats, Metadata::default()).unwrap_err().to_string();
                assert!(error.starts_with("'fc.weight' has") && error.contains(expected), "{floats:?}: {error}");
            }
            network.freeze(Floats::F32, Metadata::default()).unwrap();
        }
    }
}

#[test]
fn the_bytes_of_a_file_are_as_good_as_the_file() {
    let mut network = stored("one-padding");
    let images = pixels(&network, 2);
    let expected = bits(&network.predict(&images, 2, &[]).unwrap());
    let frozen = FrozenNetwork::new(cpu(1), network.freeze(Floats::F32, Metadata::default()).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [packed, onnx] = ["net.bnn", "net.onnx"].map(|name| folder.path().join(name));
    frozen.save(&packed).unwrap();
    let bytes = frozen.to_bytes().unwrap();
    assert_eq!(bytes, std::fs::read(&packed).unwrap());
    let mut again = FrozenNetwork::from_bytes(cpu(1), &bytes).unwrap();
    assert!(bits(&again.predict(&images, 2, &[]).unwrap()) == expected);

    frozen.export_onnx(&onnx, Form::Portable).unwrap();
    let from_file = FrozenNetwork::import_onnx(cpu(1), &onnx, None).unwrap();
    let from_bytes = FrozenNetwork::import_onnx_bytes(cpu(1), &std::fs::read(&onnx).unwrap(), None).unwrap();
    assert_eq!(from_bytes.model(), from_file.model());

    let message = |result: Result<FrozenNetwork<Cpu>, NetworkError>| result.map(drop).unwrap_err().to_string();
    assert!(message(FrozenNetwork::from_bytes(cpu(1), b"junk")).starts_with("this is no packed network"));
    assert!(message(FrozenNetwork::import_onnx_bytes(cpu(1), b"junk", None)).starts_with("this is no ONNX model"));
    std::fs::write(&onnx, b"junk").unwrap();
    let named = message(FrozenNetwork::import_onnx(cpu(1), &onnx, None));
    assert!(named.contains("net.onnx: this is no ONNX model"), "{named}");
}

/// Constants of one name each, as many as a graph may have nodes.
#[test]
fn thousands_of_constants_without_a_path_are_opened_in_no_time() {
    let mut graph = Graph::new(1);
    let image = Input { name: "image".to_owned(), shape: [1, 1, 1].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let mut x = graph.add_one(image, &[], "").unwrap();
    x = graph.add_one(NormalizeImage { mean: vec![0.0], std: vec![1.0] }, &[x], "").unwrap();
    let one = graph.add_one(Fill { value: 1.0, shape: [1].into() }, &[], "").unwrap();
    for _ in 0..4000 {
        let constant = graph.add_one(Relu {}, &[one], "").unwrap();
        x = graph.add_one(Arithmetic::ADD, &[x, constant], "").unwrap();
    }
    graph.set_output("sum", x);
    let model = Model { graph: GraphSpec::of(&graph), constants: vec![], metadata: Metadata::default() };
    let mut frozen = FrozenNetwork::from_bytes(cpu(1), &encode(&model).unwrap()).unwrap();
    assert_eq!(frozen.predict(&[255], 1, &[]).unwrap()[0].data, [4001.0]);
}

#[test]
fn layers_that_freezing_leaves_as_they_are_can_be_asked_for() {
    let mut network = stored("binary-resnet18");
    let images = pixels(&network, 2);
    let mut frozen = FrozenNetwork::new(cpu(2), network.freeze(Floats::F32, Metadata::default()).unwrap()).unwrap();
    let layers: Vec<String> = frozen.model().graph.layers.keys().cloned().collect();
    assert!(layers.len() > 10, "{layers:?}");
    for layer in &layers {
        let expected = bits(&network.predict(&images, 2, &[layer]).unwrap());
        assert_eq!(bits(&frozen.predict(&images, 2, &[layer]).unwrap()), expected, "{layer}");
        if layer.starts_with("layer1") {
            let (one, other) = expected[0].2.split_at(expected[0].2.len() / 2);
            assert_ne!(one, other, "{layer} says the same of different images");
        }
    }
    let both = frozen.predict(&images, 2, &["logits", &layers[0]]).unwrap();
    assert_eq!(both.iter().map(|p| &p.name[..]).collect::<Vec<_>>(), ["logits", &layers[0]]);
    let unknown = frozen.predict(&images, 2, &["nothing"]).unwrap_err();
    assert!(unknown.to_string().contains("there is no layer 'nothing'"), "{unknown}");
}

#[test]
fn codes_of_different_images_differ() {
    let mut network = stored("binary-resnet18");
    let images = pixels(&network, 2);
    let mut model = network.freeze(Floats::F32, Metadata::default()).unwrap();
    let first = model.graph.nodes.iter().position(|node| matches!(node.op, Op::Step(_))).unwrap();
    model.graph.layers.insert("codes".to_owned(), (first, 0));
    let mut frozen = FrozenNetwork::new(cpu(1), model).unwrap();
    let codes = &frozen.predict(&images, 2, &["codes"]).unwrap()[0].data;
    let (one, other) = codes.split_at(codes.len() / 2);
    assert!(one != other && codes.iter().all(|&code| code == 0.0 || code == 1.0));
}

#[test]
fn the_model_is_a_copy_and_knows_its_normalisation() {
    let data = dataset(96);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 5);
    let metadata =
        Metadata { classes: Some((0..CLASSES).map(|i| format!("class {i}")).collect()), ..Metadata::default() };
    let model = network.freeze(Floats::F32, metadata.clone()).unwrap();
    assert_eq!(
        model.metadata,
        Metadata { normalize: Some(Normalize { mean: vec![MEAN], std: vec![STD] }), ..metadata }
    );
    assert_eq!(decode(&encode(&model).unwrap()).unwrap(), model);

    let images = tiny::pixels(&*data);
    let before = bits(&network.predict(&images, 96, &[]).unwrap());
    train(&mut network, &mut loader(&data, SamplerState::default()), 1);
    let mut frozen = FrozenNetwork::new(cpu(1), model).unwrap();
    assert!(bits(&frozen.predict(&images, 96, &[]).unwrap()) == before);
    assert!(bits(&network.predict(&images, 96, &[]).unwrap()) != before);

    let few = Metadata { classes: Some(vec!["only".to_owned()]), ..Metadata::default() };
    let error = network.freeze(Floats::F32, few).unwrap_err();
    assert!(error.to_string().contains("the names of 1 classes, and there are 4 logits"), "{error}");
}

#[test]
fn evaluation_counts_what_predictions_say() {
    let data = dataset(65);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&dataset(96), SamplerState::default()), 10);
    let mut frozen = FrozenNetwork::new(cpu(2), network.freeze(Floats::F32, Metadata::default()).unwrap()).unwrap();
    let logits = frozen.predict(&tiny::pixels(&*data), 65, &["logits"]).unwrap().remove(0).data;
    let counts = frozen.evaluate(&mut tiny::in_order(data.clone(), 16), None).unwrap();
    let mut expected = vec![0; CLASSES * CLASSES];
    for (i, row) in logits.chunks_exact(CLASSES).enumerate() {
        let best = (0..CLASSES).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap();
        expected[data.label(i) as usize * CLASSES + best] += 1;
    }
    assert_eq!(counts.counts, expected);
    // There are fewer than five classes.
    assert_eq!(counts.among_first_five, 65);
    assert_eq!(counts, network.confusion(&mut tiny::in_order(data.clone(), 65)).unwrap());
}

#[test]
fn models_that_mix_images_or_miss_constants_are_refused() {
    let model = trainable(cpu(1)).freeze(Floats::F32, Metadata::default()).unwrap();
    let refused = |change: &dyn Fn(&mut Model), expected: &str| {
        let mut model = model.clone();
        change(&mut model);
        let error = FrozenNetwork::new(cpu(1), model).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let pop = |model: &mut Model| drop(model.constants.pop());
    refused(&pop, "is missing");
    let mix = |model: &mut Model| {
        for node in &mut model.graph.nodes {
            if let Op::Reduce(reduce) = &mut node.op {
                (reduce.axes, reduce.keep) = (vec![0, 1, 2], false);
            }
        }
    };
    refused(&mix, "expected");
    let constant = |model: &mut Model| {
        let at = model.graph.nodes.iter().position(|node| matches!(node.op, Op::State(_))).unwrap();
        model.graph.outputs = [("constant".to_owned(), (at, 0))].into();
    };
    refused(&constant, "expected [2,…] as 'constant'");

    let error = FrozenNetwork::open(cpu(1), Path::new("/nowhere/net.bnn")).map(|_| ()).unwrap_err();
    assert!(matches!(&error, NetworkError::Io { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.bnn");
    std::fs::write(&file, b"not a network").unwrap();
    let error = FrozenNetwork::open(cpu(1), &file).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("net.bnn: this is no packed network"), "{error}");
}

/// Every number of a JSON value.
fn numbers<'v>(value: &'v mut serde_json::Value, into: &mut Vec<&'v mut serde_json::Value>) {
    match value {
        serde_json::Value::Number(_) => into.push(value),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|item| numbers(item, into)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| numbers(field, into)),
        _ => {}
    }
}

/// The constants that a graph asks for, all zeroes; nothing where they are too large to bother.
fn zeroes(graph: &GraphSpec) -> Option<Vec<Constant>> {
    let mut constants: Vec<Constant> = Vec::new();
    for node in &graph.nodes {
        let Op::State(state) = &node.op else { continue };
        if !state.shape.is_possible() || state.shape.elements() > 1 << 20 {
            return None;
        }
        let meta = ValueMeta::new(state.meaning, state.shape.clone());
        let data = match state.meaning {
            Meaning::Bit { groups, .. } => Elements::Bits(vec![0; Layout::bits(&meta, groups.max(1)).len()]),
            Meaning::Int { .. } => Elements::I16(vec![0; meta.shape.elements()]),
            Meaning::F32 | Meaning::Index { .. } => Elements::F32(vec![0.0; meta.shape.elements()]),
        };
        if constants.iter().all(|constant| constant.path != state.path) {
            constants.push(Constant { path: state.path.clone(), meta, data });
        }
    }
    Some(constants)
}

#[test]
fn a_profile_has_a_row_for_each_layer_with_what_it_computes_and_moves() {
    let mut network = stored("bi-real-resnet18");
    let image = pixels(&network, 1);
    let model = network.freeze(Floats::F32, Metadata::default()).unwrap();
    let mut frozen = FrozenNetwork::new(cpu(2), model).unwrap();
    let before = bits(&frozen.predict(&image, 1, &[]).unwrap());
    let rows = frozen.profile(&image, NonZero::new(2).unwrap()).unwrap();
    assert_eq!(bits(&frozen.predict(&image, 1, &[]).unwrap()), before);

    // The graph says the same of the shapes.
    let graph = frozen.fused().unwrap();
    let nodes: Vec<_> = graph.nodes().iter().filter(|node| !node.op.is_leaf()).collect();
    assert_eq!(rows.len(), nodes.len());
    for (row, node) in rows.iter().zip(nodes) {
        assert_eq!(row.path, node.path);
        let metas = |values: &[Value]| values.iter().map(|&v| graph.meta(v)).collect::<Vec<_>>();
        let macs = node.op.macs(&metas(&node.inputs), &metas(&node.outputs));
        assert_eq!(row.macs, macs.binary + macs.float, "{}", row.path);
        assert_eq!(row.kind == LayerKind::Binary, macs.binary > 0, "{}", row.path);
        let written: usize = node.outputs.iter().map(|&v| Layout::interchange(graph.meta(v)).bytes()).sum();
        let read: usize = metas(&node.inputs).iter().map(|meta| Layout::interchange(meta).bytes()).sum();
        assert!(row.bytes > written && row.bytes < 4 * (written + read) + 4096, "{}: {}", row.path, row.bytes);
        // A tiny layer may take no longer than a run of nothing.
        if let Some(peak) = row.peak.filter(|_| row.seconds > 0.0) {
            assert!(row.macs as f64 <= peak * row.seconds * 1.000_001, "{}", row.path);
        }
    }
    assert!(rows.iter().any(|row| row.seconds > 0.0 && row.peak.is_some()));
    assert!(rows.iter().any(|row| row.kind == LayerKind::Image));
    assert!(rows.iter().any(|row| row.kind == LayerKind::Binary && row.peak.is_some()));
    assert!(frozen.profile(&image[1..], NonZero::new(1).unwrap()).is_err());
}

#[test]
fn whatever_a_graph_says_it_is_refused_or_runs() {
    let mut accepted = 0;
    for (name, ends) in [("one-padding", false), ("one-padding", true), ("bi-real-resnet18", false)] {
        let mut network = stored(name);
        let model = if ends {
            network.freeze_int8(Floats::F32, &mut epoch(&network, 3), Metadata::default()).unwrap()
        } else {
            network.freeze(Floats::Int8, Metadata::default()).unwrap()
        };
        let mut graph = serde_json::to_value(&model.graph).unwrap();
        let mut places = Vec::new();
        numbers(&mut graph, &mut places);
        let count = places.len();
        // All places of the small one, some of the large one.
        for at in (0..count).step_by(if count > 400 { 37 } else { 1 }) {
            for edge in [-1i64, 0, 1, 2, 3, 7, 33, 64, 65, 255, 1000, 1 << 31, 1 << 40, i64::MAX] {
                let mut changed = serde_json::to_value(&model.graph).unwrap();
                let mut places = Vec::new();
                numbers(&mut changed, &mut places);
                *places[at] = edge.into();
                let Ok(graph) = serde_json::from_value::<GraphSpec>(changed) else { continue };
                let Some(constants) = zeroes(&graph) else { continue };
                let Ok(mut frozen) = FrozenNetwork::new(cpu(1), Model { graph, constants, ..model.clone() }) else {
                    continue;
                };
                let image = frozen.model().graph.nodes.iter().find_map(|node| match &node.op {
                    Op::Input(input) => Some(input.shape.elements()),
                    _ => None,
                });
                let result = frozen.predict(&vec![9; image.unwrap()], 1, &[]);
                assert!(result.is_ok(), "{name}, number {at} as {edge}: {result:?}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 100, "{accepted} were no test at all");
}
