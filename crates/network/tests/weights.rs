//! Weights of other files: whole, in part, and never halfway.

mod tiny;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use binary_nets_cpu::Cpu;
use binary_nets_data::SamplerState;
use binary_nets_formats::Tensor;
use binary_nets_formats::checkpoint::decode;
use binary_nets_formats::safetensors::encode;
use binary_nets_graph::Op;
use binary_nets_graph::ops::{Arithmetic, ArithmeticFunction, Slice, StateKind};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_network::{LoadOptions, LoadReport, Network, NetworkError, Resized, TrainingOptions};
use safetensors::SafeTensors;
use tempfile::TempDir;
use tiny::{
    BATCH, CLASSES, WIDTH, binary_conv, compile, compile_with, cpu, dataset, everything, loader, model_of, network,
    states, train, trainable,
};

const EXACT: LoadOptions = LoadOptions { partial: false, symmetric: false, seed: None, noise: 0.05 };
const PARTIAL: LoadOptions = LoadOptions { partial: true, ..EXACT };
const SYMMETRIC: LoadOptions = LoadOptions { symmetric: true, ..PARTIAL };

type States = BTreeMap<String, Vec<f32>>;

/// A file that `parity/make_checkpoints.py` made.
fn checkpoint(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/checkpoints")).join(name)
}

/// Tensors by key, as the official crate reads them.
fn official(path: &Path) -> States {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    tensors.iter().map(|(key, view)| (key.to_owned(), floats(view.data()))).collect()
}

/// A folder with a file of tensors.
fn file(tensors: &[Tensor]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, encode(tensors).unwrap()).unwrap();
    (folder, path)
}

/// Numbers that differ from each other, and from tensor to tensor.
fn tensor(path: &str, shape: &[usize]) -> Tensor {
    let start = path.bytes().map(f32::from).sum::<f32>();
    let data = (0..shape.iter().product()).map(|i: usize| (start + i as f32).sin()).collect();
    Tensor { path: path.to_owned(), shape: shape.to_vec(), data }
}

/// The weights of a network as tensors.
fn tensors(network: &Network<Cpu>) -> Vec<Tensor> {
    network.states().map(|state| tensor(&state.path, &state.shape)).collect()
}

fn load(network: &mut Network<Cpu>, tensors: &[Tensor], options: &LoadOptions) -> Result<LoadReport, NetworkError> {
    network.load_weights(&file(tensors).1, options)
}

fn resized(path: &str, key: &str, from: &[usize], to: &[usize]) -> Resized {
    Resized { path: path.to_owned(), key: key.to_owned(), from: from.to_vec(), to: to.to_vec() }
}

/// The tiny network with a spec of its own.
fn network_of(spec: GraphSpec) -> Network<Cpu> {
    Network::new(cpu(2), spec, 7).unwrap()
}

#[test]
fn what_pytorch_trained_is_loaded_exactly() {
    let mut network = network(cpu(1));
    let report = network.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap();
    let paths: Vec<String> = network.states().map(|state| state.path.clone()).collect();
    assert_eq!(report, LoadReport { loaded: paths, ..LoadReport::default() });
    let mut expected = official(&checkpoint("trained.safetensors"));
    expected.retain(|key, _| !key.ends_with("num_batches_tracked"));
    let expected: States =
        expected.into_iter().map(|(key, data)| (key.strip_prefix("module.").unwrap().to_owned(), data)).collect();
    assert_eq!(states(&network), expected);
}

#[test]
fn what_is_saved_is_loaded_and_read_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/weights.safetensors");
    let data = dataset(BATCH * 4);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    network.save_weights(&path).unwrap();
    assert_eq!(official(&path), states(&network), "no moments");
    let mut other = Network::new(cpu(1), tiny::model(), 8).unwrap();
    assert_ne!(states(&other), states(&network));
    other.load_weights(&path, &EXACT).unwrap();
    assert_eq!(states(&other), states(&network));

    // A checkpoint is a file of weights too; its moments are passed over.
    let saved = folder.path().join("checkpoint");
    network.save(&saved, "").unwrap();
    let mut other = Network::new(cpu(1), tiny::model(), 8).unwrap();
    let report = other.load_weights(&saved, &EXACT).unwrap();
    assert_eq!((states(&other), report.left_over), (states(&network), vec![]));
}

#[test]
fn the_frozen_network_is_that_of_the_loaded_weights() {
    let images = vec![100; tiny::PIXELS];
    let mut loaded = network(cpu(1));
    let before = loaded.predict(&images, 1, &[]).unwrap();
    loaded.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap();
    let after = loaded.predict(&images, 1, &[]).unwrap();
    assert_ne!(before, after);
    let mut fresh = network(cpu(1));
    fresh.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap();
    assert_eq!(fresh.predict(&images, 1, &[]).unwrap(), after);
}

#[test]
fn weights_that_do_not_fit_are_named_and_change_nothing() {
    let mut network = network(cpu(1));
    let before = everything(&network);
    let whole = tensors(&network);
    let mut refused = |edit: &dyn Fn(&mut Vec<Tensor>), culprits: &str| {
        let mut tensors = whole.clone();
        edit(&mut tensors);
        match load(&mut network, &tensors, &EXACT) {
            Err(error @ NetworkError::Weights { .. }) => {
                let message = error.to_string();
                assert!(message.ends_with(&format!("weights.safetensors: {culprits}")), "{message}");
            }
            other => panic!("{culprits}: {other:?}"),
        }
        assert!(everything(&network) == before, "{culprits}: something changed");
    };
    refused(&|t| t.retain(|t| t.path != "fc.bias"), "'fc.bias' is missing");
    refused(&|t| t.push(tensor("fc.gain", &[1])), "'fc.gain' is left over");
    refused(
        &|t| *t.iter_mut().find(|t| t.path == "fc.weight").unwrap() = tensor("fc.weight", &[WIDTH, CLASSES]),
        "'fc.weight' is [8,4] where the model has [4,8]",
    );
    refused(
        &|t| *t = vec![tensor("fc.bias", &[2, 2])],
        "'bn1.bias' is missing; 'bn1.running_mean' is missing; 'bn1.running_var' is missing; 'bn1.weight' is missing; \
         'bn2.bias' is missing; and 7 more",
    );
    let twice = [whole.clone(), vec![tensor("module.fc.bias", &[CLASSES])]].concat();
    let error = load(&mut network, &twice, &EXACT).unwrap_err();
    assert!(matches!(error, NetworkError::Format { .. }) && error.to_string().contains("'fc.bias'"), "{error}");
    for path in ["malicious.pth", "legacy.pth", "nowhere"] {
        let error = network.load_weights(&checkpoint(path), &PARTIAL).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
    for noise in [-0.1, f32::NAN, f32::INFINITY] {
        let error = load(&mut network, &whole, &LoadOptions { noise, ..PARTIAL }).unwrap_err();
        assert!(matches!(error, NetworkError::Argument(_)), "{error}");
    }
    assert!(everything(&network) == before);
    load(&mut network, &whole, &EXACT).unwrap();
    assert!(whole.iter().all(|t| network.state(&t.path).unwrap() == t.data));
}

/// The tiny network whose last layer is called otherwise.
fn with_classifier() -> Network<Cpu> {
    let mut spec = tiny::model();
    for node in &mut spec.nodes {
        if let Op::State(state) = &mut node.op {
            state.path = state.path.replace("fc.", "classifier.");
        }
    }
    network_of(spec)
}

#[test]
fn the_head_of_torchvision_is_the_classifier() {
    let mut network = with_classifier();
    let bodies: Vec<Tensor> = tensors(&network).into_iter().filter(|t| !t.path.starts_with("classifier.")).collect();
    let with = |head: &[Tensor]| [&bodies[..], head].concat();
    let head = [tensor("fc.weight", &[CLASSES, WIDTH]), tensor("fc.bias", &[CLASSES])];
    let report = load(&mut network, &with(&head), &EXACT).unwrap();
    assert!(report.loaded.contains(&"classifier.weight".to_owned()) && report.left_over.is_empty(), "{report:?}");
    assert_eq!(network.state("classifier.weight").unwrap(), head[0].data);
    assert_eq!(network.state("classifier.bias").unwrap(), head[1].data);

    // Of other shapes, or beside a classifier, it is another layer: no part of it is taken.
    let before = network.state("classifier.bias").unwrap();
    for head in [
        &[tensor("fc.weight", &[CLASSES + 1, WIDTH]), tensor("fc.bias", &[CLASSES + 1])][..],
        &[tensor("fc.weight", &[CLASSES, WIDTH + 1]), tensor("fc.bias", &[CLASSES])],
        &[tensor("fc.0.weight", &[CLASSES, WIDTH]), tensor("fc.bias", &[CLASSES])],
    ] {
        let report = load(&mut network, &with(head), &PARTIAL).unwrap();
        assert_eq!(report.missing, ["classifier.bias", "classifier.weight"]);
        assert_eq!(report.left_over.len(), 2, "{report:?}");
        assert_eq!(network.state("classifier.bias").unwrap(), before);
    }
    let both = [&head[..], &[tensor("classifier.weight", &[CLASSES, WIDTH])]].concat();
    let report = load(&mut network, &with(&both), &PARTIAL).unwrap();
    assert_eq!((report.missing, report.left_over.len()), (vec!["classifier.bias".to_owned()], 2));
}

#[test]
fn a_layer_may_be_called_module() {
    let mut spec = tiny::model();
    for node in &mut spec.nodes {
        if let Op::State(state) = &mut node.op {
            state.path = state.path.replace("fc.", "module.");
        }
    }
    let mut network = network_of(spec);
    let tensors = tensors(&network);
    load(&mut network, &tensors, &EXACT).unwrap();
}

#[test]
fn in_part_tensors_are_tiled_cut_or_left() {
    let mut network = network(cpu(1));
    let before = states(&network);
    let source = [
        tensor("conv1.weight", &[4, 1, 3, 3]),
        tensor("bn1.weight", &[2]),
        tensor("bn1.bias", &[3]),
        tensor("bn1.running_mean", &[WIDTH, 1]),
        tensor("fc.weight", &[2, 16]),
        tensor("fc.bias", &[CLASSES]),
        tensor("extra", &[1]),
    ];
    let report = load(&mut network, &source, &SYMMETRIC).unwrap();
    assert_eq!(report.loaded, ["fc.bias"]);
    assert_eq!(
        report.tiled,
        [
            resized("bn1.weight", "bn1.weight", &[2], &[8]),
            resized("conv1.weight", "conv1.weight", &[4, 1, 3, 3], &[8, 1, 3, 3])
        ]
    );
    assert_eq!(
        report.cut,
        [resized("bn1.bias", "bn1.bias", &[3], &[8]), resized("fc.weight", "fc.weight", &[2, 16], &[4, 8])]
    );
    assert_eq!(
        report.missing,
        [
            "bn1.running_mean",
            "bn1.running_var",
            "bn2.bias",
            "bn2.running_mean",
            "bn2.running_var",
            "bn2.weight",
            "conv2.weight",
        ]
    );
    assert_eq!(report.left_over, ["bn1.running_mean", "extra"]);

    let state = |path: &str| network.state(path).unwrap();
    assert_eq!(state("conv1.weight"), source[0].data.repeat(2));
    assert_eq!(state("bn1.weight"), source[1].data.repeat(4));
    assert_eq!((&state("bn1.bias")[..3], &state("bn1.bias")[3..]), (&source[2].data[..], &before["bn1.bias"][3..]));
    let fc = state("fc.weight");
    assert_eq!((&fc[..8], &fc[8..16]), (&source[4].data[..8], &source[4].data[16..24]));
    assert_eq!(fc[16..], before["fc.weight"][16..]);
    for path in &report.missing {
        assert_eq!(&state(path), &before[path], "{path}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_key() {
    let mut network = network(cpu(1));
    let before = everything(&network);
    let whole = tensors(&network);
    for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut tensors = whole.clone();
        tensors.iter_mut().find(|t| t.path == "bn2.running_var").unwrap().data[3] = x;
        for options in [EXACT, PARTIAL] {
            let error = load(&mut network, &tensors, &options).unwrap_err();
            assert!(matches!(error, NetworkError::Weights { .. }), "{error}");
            assert!(error.to_string().ends_with(&format!("'bn2.running_var' holds {x}, at element 3")), "{error}");
            assert!(everything(&network) == before);
        }
    }
    // What is not taken may be anything.
    let extra = Tensor { path: "extra".to_owned(), shape: vec![1], data: vec![f32::NAN] };
    load(&mut network, &[whole, vec![extra]].concat(), &PARTIAL).unwrap();
}

#[test]
fn a_file_of_which_nothing_fits_is_refused() {
    let mut network = network(cpu(1));
    let before = everything(&network);
    for tensors in [&[][..], &[tensor("other", &[1])], &[tensor("fc.bias", &[2, 2])]] {
        let error = load(&mut network, tensors, &PARTIAL).unwrap_err();
        assert!(matches!(error, NetworkError::Weights { .. }), "{error}");
        assert!(error.to_string().contains("nothing in this file fits the model: 'bn1.bias' is missing"), "{error}");
        assert!(everything(&network) == before);
    }
    let report = load(&mut network, &[tensor("fc.bias", &[CLASSES])], &PARTIAL).unwrap();
    assert_eq!(report.loaded, ["fc.bias"]);
}

#[test]
fn optimizers_and_averages_know_nothing_of_the_weights_that_were() {
    let data = dataset(BATCH * 4);
    let options = TrainingOptions { accumulate: 2, average: Some(0.9), ..TrainingOptions::default() };
    let mut network = network(cpu(1));
    compile_with(&mut network, &options);
    let mut batches = loader(&data, SamplerState::default());
    // An update and a half.
    train(&mut network, &mut batches, 3);
    assert_eq!(network.step(), 1);
    let before = everything(&network);
    assert!(load(&mut network, &[tensor("other", &[1])], &PARTIAL).is_err() && everything(&network) == before);

    network.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap();
    let mut fresh = Network::new(cpu(1), tiny::model(), 7).unwrap();
    fresh.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap();
    compile_with(&mut fresh, &options);
    let tensors = |network: &Network<Cpu>| decode(&everything(network)).unwrap().tensors;
    assert!(tensors(&network).iter().any(|t| t.path.ends_with("#gradient")));
    assert!(tensors(&network) == tensors(&fresh), "all but the count of updates");
}

#[test]
fn noise_tells_tiles_apart_and_is_a_function_of_seed_and_path() {
    let loaded = |options: &LoadOptions, path: &str| {
        let mut network = network(cpu(1));
        let source = [
            tensor("conv2.weight", &[2, WIDTH, 3, 3]),
            tensor("conv1.weight", &[4, 1, 3, 3]),
            tensor("bn2.weight", &[4]),
            tensor("bn2.running_var", &[4]),
        ];
        load(&mut network, &source, options).unwrap();
        network.state(path).unwrap()
    };
    let plain = tensor("conv2.weight", &[2, WIDTH, 3, 3]).data;
    let n = plain.len();
    let weights = loaded(&PARTIAL, "conv2.weight");
    assert_eq!(weights[..n], plain, "the first base is the file's");
    assert_eq!(loaded(&PARTIAL, "conv2.weight"), weights);
    assert_eq!(loaded(&LoadOptions { seed: Some(7), ..PARTIAL }, "conv2.weight"), weights, "the network's own seed");
    assert_ne!(loaded(&LoadOptions { seed: Some(8), ..PARTIAL }, "conv2.weight"), weights);
    assert_eq!(loaded(&SYMMETRIC, "conv2.weight"), plain.repeat(4));
    assert_eq!(loaded(&LoadOptions { noise: 0.0, ..PARTIAL }, "conv2.weight"), plain.repeat(4));
    for path in ["bn2.weight", "bn2.running_var"] {
        assert_eq!(loaded(&PARTIAL, path), tensor(path, &[4]).data.repeat(2), "{path} has no noise");
    }

    // 432 numbers: the deviation of their noise is within 15 % of what it should be at more than four deviations of its own.
    let mean = plain.iter().sum::<f32>() / n as f32;
    let deviation = (plain.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n as f32).sqrt();
    for fraction in [0.05, 0.4] {
        let weights = loaded(&LoadOptions { noise: fraction, ..PARTIAL }, "conv2.weight");
        let noise: Vec<f32> = weights[n..].iter().zip(plain.iter().cycle()).map(|(w, x)| w - x).collect();
        let got = (noise.iter().map(|x| x * x).sum::<f32>() / noise.len() as f32).sqrt() / deviation;
        assert!((got / fraction - 1.0).abs() < 0.15, "{got}, not {fraction}");
        for (i, tile) in noise.chunks(n).enumerate() {
            assert!(noise.chunks(n).skip(i + 1).all(|other| other != tile), "each tile has noise of its own");
        }
    }
}

/// The tiny network with two bases side by side in one tensor, summed.
fn parallel() -> GraphSpec {
    model_of(|t, codes| {
        let conv2 = binary_conv(t, codes, 2 * WIDTH, "conv2");
        let norm = t.norm(conv2, 2 * WIDTH, "bn2");
        let [first, second] =
            [0, WIDTH].map(|start| t.add(Slice { axis: 3, start, end: start + WIDTH }, &[norm], "bases"));
        (conv2, t.add(Arithmetic { function: ArithmeticFunction::Add }, &[first, second], "sum"))
    })
}

/// The same with two bases in tensors of their own.
fn bases() -> GraphSpec {
    model_of(|t, codes| {
        let [first, second] = ["bases.0", "bases.1"].map(|base| {
            let conv2 = binary_conv(t, codes, WIDTH, &format!("{base}.conv2"));
            (conv2, t.norm(conv2, WIDTH, &format!("{base}.bn2")))
        });
        (first.0, t.add(Arithmetic { function: ArithmeticFunction::Add }, &[first.1, second.1], "sum"))
    })
}

/// Every state of each of two bases: those beside each other, and those by themselves.
fn both(network: &Network<Cpu>) -> [States; 2] {
    let states = states(network);
    [0, 1].map(|k| {
        let own = states.iter().filter_map(|(path, data)| {
            if let Some(path) = path.strip_prefix(&format!("bases.{k}.")) {
                return Some((path.to_owned(), data.clone()));
            }
            let half = data.len() / 2;
            ["conv2.", "bn2."]
                .iter()
                .any(|layer| path.starts_with(layer))
                .then(|| (path.clone(), data[k * half..][..half].to_vec()))
        });
        own.collect()
    })
}

#[test]
fn bases_go_apart_unless_they_are_to_stay_together() {
    let data = dataset(BATCH * 4);
    let source = checkpoint("trained.pth.tar");
    let plain = official(&checkpoint("trained.safetensors"));
    for spec in [parallel(), bases()] {
        for (options, apart) in [(PARTIAL, true), (SYMMETRIC, false)] {
            let mut network = network_of(spec.clone());
            compile(&mut network);
            let report = network.load_weights(&source, &options).unwrap();
            assert!(report.missing.is_empty() && report.left_over.is_empty() && report.cut.is_empty(), "{report:?}");
            let [first, second] = both(&network);
            // Of bases that have tensors of their own, the first is loaded and the second repeats it.
            assert_eq!(report.tiled.len(), 5);
            assert!(report.tiled.iter().all(|tensor| spec == parallel() || tensor.path.starts_with("bases.1.")));
            assert_eq!(
                report.loaded.iter().filter(|path| path.starts_with("bases.0.")).count(),
                if spec == parallel() { 0 } else { 5 }
            );
            assert_eq!(first["conv2.weight"], plain["module.conv2.weight"]);
            assert_eq!(first["conv2.weight"] != second["conv2.weight"], apart);
            assert_eq!(first["bn2.weight"], second["bn2.weight"]);

            train(&mut network, &mut loader(&data, SamplerState::default()), 6);
            let [now, other] = both(&network);
            assert_ne!(now, first, "it trains");
            for path in now.keys() {
                // The biases of what is summed have one gradient, whatever the bases are.
                assert_eq!(now[path] != other[path], apart && path != "bn2.bias", "{path}");
            }
            if apart {
                // Not only the noise: what they have learnt differs too.
                let moved = |now: &[f32], was: &[f32]| now.iter().zip(was).map(|(a, b)| a - b).collect::<Vec<f32>>();
                assert_ne!(
                    moved(&now["conv2.weight"], &first["conv2.weight"]),
                    moved(&other["conv2.weight"], &second["conv2.weight"])
                );
            }
        }
    }
}

#[test]
fn a_base_takes_the_shared_tensor_only_in_part_and_in_want_of_its_own() {
    let mut network = network_of(bases());
    let error = network.load_weights(&checkpoint("trained.pth.tar"), &EXACT).unwrap_err();
    assert!(error.to_string().contains("'bases.0.bn2.bias' is missing"), "{error}");
    let own = tensor("bases.1.conv2.weight", &[WIDTH, WIDTH, 3, 3]);
    let report = load(&mut network, &[own.clone(), tensor("conv2.weight", &[4, WIDTH, 3, 3])], &SYMMETRIC).unwrap();
    assert_eq!(report.loaded, ["bases.1.conv2.weight"]);
    assert_eq!(report.tiled, [resized("bases.0.conv2.weight", "conv2.weight", &[4, 8, 3, 3], &[8, 8, 3, 3])]);
    assert_eq!(network.state("bases.1.conv2.weight").unwrap(), own.data);
    assert_eq!(network.states().filter(|s| s.kind == StateKind::Latent).count(), 2);
}
