//! Gradients of several batches for one update: as if they were one batch, and exact over stops.

mod tiny;

use std::fs;
use std::sync::atomic::Ordering;

use binary_nets_cpu::Cpu;
use binary_nets_data::SamplerState;
use binary_nets_exec::{ExecError, MemoryPolicy};
use binary_nets_formats::checkpoint::{decode, encode};
use binary_nets_graph::ops::Sgd;
use binary_nets_graph::passes::{Update, UpdateRule};
use binary_nets_network::{Gradients, Network, NetworkError, Slopes, StepReport, TensorView, TrainingOptions};
use tiny::{
    BATCH, PIXELS, RATES, compile, compile_with, cpu, dataset, everything, loader, network, objective, states, train,
    without_norms,
};

const ALL: TrainingOptions = TrainingOptions {
    accumulate: 3,
    clip_norm: Some(0.5),
    average: Some(0.9),
    gradients: Gradients::Fixed,
    slopes: Slopes::Int8,
    memory: MemoryPolicy::Balanced,
};

fn accumulating(accumulate: usize) -> TrainingOptions {
    TrainingOptions { accumulate, ..TrainingOptions::default() }
}

/// One step on the samples `from..from + n`.
fn step(network: &mut Network<Cpu>, from: usize, n: usize) -> Result<StepReport, NetworkError> {
    let (images, labels) = tiny::samples(from + n);
    let batch = [("image", TensorView::U8(&images[from * PIXELS..])), ("label", TensorView::U32(&labels[from..]))];
    network.train_step(&batch, &RATES)
}

#[test]
fn several_batches_update_like_one_large_one() {
    for clip_norm in [None, Some(0.05)] {
        let make = |batch, accumulate| {
            let mut network = Network::new(cpu(2), without_norms(None), 7).unwrap();
            let sgd = Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01, clamp: None };
            let updates: Vec<Update> = tiny::updates(&network)
                .into_iter()
                .map(|update| Update { rule: UpdateRule::Sgd(sgd.clone()), ..update })
                .collect();
            let options = TrainingOptions { accumulate, clip_norm, ..TrainingOptions::default() };
            network.compile_training(&objective(), &updates, batch, &options).unwrap();
            network
        };
        let (mut small, mut large) = (make(BATCH, 3), make(3 * BATCH, 1));
        for update in 0..3 {
            let from = update * 3 * BATCH;
            let report = step(&mut large, from, 3 * BATCH).unwrap();
            assert!(report.updated);
            let mut losses = 0.0;
            for k in 0..3 {
                let before = states(&small);
                let part = step(&mut small, from + k * BATCH, BATCH).unwrap();
                assert_eq!((part.updated, part.samples), (k == 2, BATCH));
                assert_eq!(states(&small) == before, k < 2, "an update after batch {k}");
                losses += part.loss / 3.0;
            }
            assert!((losses - report.loss).abs() <= 1e-6, "{losses}, in one batch {}", report.loss);
            assert_eq!((small.step(), large.step()), (update as u64 + 1, update as u64 + 1));
        }
        // Sums of f32 in another order.
        for (path, expected) in states(&large) {
            let got = small.state(&path).unwrap();
            let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
            let error = got.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(error <= 1e-5 * largest, "{path} is off by {error:e}, clipped to {clip_norm:?}");
        }
    }
}

#[test]
fn clipping_bounds_the_update() {
    let mut moved = Vec::new();
    for clip_norm in [None, Some(0.05_f32)] {
        let mut network = Network::new(cpu(1), without_norms(None), 7).unwrap();
        let sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None };
        let updates: Vec<Update> = tiny::updates(&network)
            .into_iter()
            .map(|update| Update { rule: UpdateRule::Sgd(sgd.clone()), lr: "one".to_owned(), ..update })
            .collect();
        let options = TrainingOptions { clip_norm, ..TrainingOptions::default() };
        network.compile_training(&objective(), &updates, BATCH, &options).unwrap();
        let before = states(&network);
        let (images, labels) = tiny::samples(BATCH);
        let batch = [("image", TensorView::U8(&images)), ("label", TensorView::U32(&labels))];
        network.train_step(&batch, &[("one", 1.0)]).unwrap();
        let after = states(&network);
        let pairs = before.values().flatten().zip(after.values().flatten());
        moved.push(pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt());
    }
    assert!(moved[0] > 0.1 && (moved[1] - 0.05).abs() < 1e-4, "{moved:?}");
}

#[test]
fn dropout_differs_between_the_batches_of_an_update() {
    let losses = || {
        let mut network = Network::new(cpu(2), without_norms(Some(0.5)), 7).unwrap();
        compile_with(&mut network, &accumulating(3));
        let (images, labels) = tiny::samples(BATCH);
        let batch = [("image", TensorView::U8(&images)), ("label", TensorView::U32(&labels))];
        // The same batch and, without learning rates, the same weights.
        (0..9)
            .map(|_| network.train_step(&batch, &[("binary", 0.0), ("rest", 0.0)]).unwrap().loss.to_bits())
            .collect::<Vec<_>>()
    };
    let first = losses();
    for (i, loss) in first.iter().enumerate() {
        assert!(!first[..i].contains(loss), "{first:?}");
    }
    assert_eq!(first, losses());
}

#[test]
fn stopping_in_the_midst_of_an_update_changes_nothing() {
    let data = dataset(BATCH * 4);
    let ready = |threads| {
        let mut network = network(cpu(threads));
        compile_with(&mut network, &ALL);
        network
    };
    let mut uninterrupted = ready(2);
    let losses = train(&mut uninterrupted, &mut loader(&data, SamplerState::default()), 11);
    assert_eq!(uninterrupted.step(), 3);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    let mut network = ready(1);
    let mut batches = loader(&data, SamplerState::default());
    assert_eq!(train(&mut network, &mut batches, 4), losses[..4]);
    compile_with(&mut network, &ALL);
    assert_eq!(train(&mut network, &mut batches, 4), losses[4..8]);
    assert_eq!(network.step(), 2);
    network.save(&path, "").unwrap();
    let state = batches.state();
    drop((network, batches));

    let (mut network, _) = Network::open(cpu(5), &path).unwrap();
    compile_with(&mut network, &ALL);
    assert_eq!(train(&mut network, &mut loader(&data, state), 3), losses[8..]);
    assert!(everything(&network) == everything(&uninterrupted));
}

#[test]
fn steps_that_fail_are_no_part_of_an_update() {
    let data = dataset(BATCH * 4);
    let mut network = network(cpu(2));
    compile_with(&mut network, &ALL);
    let flag = network.cancel_flag();
    let mut twin = tiny::network(cpu(2));
    compile_with(&mut twin, &ALL);
    let (mut batches, mut twins) = (loader(&data, SamplerState::default()), loader(&data, SamplerState::default()));
    for _ in 0..6 {
        let before = everything(&network);
        flag.store(true, Ordering::Relaxed);
        let error = step(&mut network, 0, BATCH).unwrap_err();
        assert!(matches!(error, NetworkError::Exec(ExecError::Cancelled)), "{error}");
        flag.store(false, Ordering::Relaxed);
        let weight = network.state("conv1.weight").unwrap();
        network.set_state("conv1.weight", &vec![f32::NAN; weight.len()]).unwrap();
        let error = step(&mut network, 0, BATCH).unwrap_err();
        assert!(matches!(error, NetworkError::NotFinite { .. }), "{error}");
        network.set_state("conv1.weight", &weight).unwrap();
        assert!(before == everything(&network));

        train(&mut network, &mut batches, 1);
        train(&mut twin, &mut twins, 1);
        assert!(everything(&network) == everything(&twin));
    }
    assert_eq!(network.step(), 2);
}

#[test]
fn a_part_of_another_update_is_dropped() {
    let fresh = || Network::new(cpu(1), without_norms(None), 7).unwrap();
    let mut network = fresh();
    compile_with(&mut network, &accumulating(3));
    step(&mut network, 0, BATCH).unwrap();
    compile_with(&mut network, &accumulating(2));
    let mut other = fresh();
    compile_with(&mut other, &accumulating(2));
    let both = |a: &mut Network<Cpu>, b: &mut Network<Cpu>| {
        assert_eq!(step(a, BATCH, BATCH).unwrap(), step(b, BATCH, BATCH).unwrap());
    };
    both(&mut network, &mut other);
    both(&mut network, &mut other);
    assert_eq!(network.step(), 1);
    assert!(everything(&network) == everything(&other));

    step(&mut network, 0, BATCH).unwrap();
    compile(&mut network);
    compile(&mut other);
    both(&mut network, &mut other);
    assert!(network.step() == 2 && everything(&network) == everything(&other));

    compile_with(&mut network, &accumulating(2));
    step(&mut network, 0, BATCH).unwrap();
    network.reset_moments().unwrap();
    compile_with(&mut other, &accumulating(2));
    other.reset_moments().unwrap();
    both(&mut network, &mut other);
    both(&mut network, &mut other);
    assert!(network.step() == 3 && everything(&network) == everything(&other));
}

/// After a step that could not be compiled, another one does not go on with what was accumulated for the last that could.
#[test]
fn a_step_that_fails_to_compile_leaves_no_sums() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    let mut network = network(cpu(1));
    compile_with(&mut network, &accumulating(3));
    step(&mut network, 0, BATCH).unwrap();
    let mut checkpoint = decode(&everything(&network)).unwrap();
    let velocity = checkpoint.tensors.iter_mut().find(|t| t.path == "fc.bias#velocity").unwrap();
    (velocity.shape, velocity.data) = (vec![7], vec![0.0; 7]);
    fs::write(&path, encode(&checkpoint).unwrap()).unwrap();
    let (mut network, _) = Network::open(cpu(1), &path).unwrap();
    let sum = |network: &Network<Cpu>| network.state("fc.bias#gradient").unwrap();
    assert!(sum(&network).iter().any(|&x| x != 0.0));
    let mut updates = tiny::updates(&network);
    let error = network.compile_training(&objective(), &updates, BATCH, &accumulating(3)).unwrap_err();
    assert!(
        matches!(&error, NetworkError::Exec(ExecError::State { path, .. }) if path == "fc.bias#velocity"),
        "{error}"
    );

    let sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None };
    for update in &mut updates {
        update.rule = UpdateRule::Sgd(sgd.clone());
    }
    network.compile_training(&objective(), &updates, BATCH, &accumulating(3)).unwrap();
    assert!(sum(&network).iter().all(|&x| x == 0.0));
    let made: Vec<bool> = (0..3).map(|_| step(&mut network, 0, BATCH).unwrap().updated).collect();
    assert_eq!(made, [false, false, true]);
}

/// A file's sums are of the parameters that were trained.
#[test]
fn sums_of_other_parameters_do_not_go_on_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    let mut network = network(cpu(1));
    compile_with(&mut network, &accumulating(3));
    step(&mut network, 0, BATCH).unwrap();
    network.save(&path, "").unwrap();
    for (left_out, goes_on) in [(0, true), (1, false)] {
        let (mut network, _) = Network::open(cpu(1), &path).unwrap();
        let updates = &tiny::updates(&network)[left_out..];
        network.compile_training(&objective(), updates, BATCH, &accumulating(3)).unwrap();
        assert_eq!(network.state("fc.bias#gradient").unwrap().iter().any(|&x| x != 0.0), goes_on);
        assert_eq!(network.state("#accumulated").unwrap(), [f32::from(u8::from(goes_on))]);
    }
}

#[test]
fn impossible_options_are_refused_by_name() {
    let mut network = network(cpu(1));
    let updates = tiny::updates(&network);
    for (name, options) in [
        ("accumulate", accumulating(0)),
        ("accumulate", accumulating(1 << 30)),
        ("clip_norm", TrainingOptions { clip_norm: Some(0.0), ..accumulating(1) }),
        ("clip_norm", TrainingOptions { clip_norm: Some(f32::NAN), ..accumulating(1) }),
        ("average", TrainingOptions { average: Some(1.0), ..accumulating(1) }),
        ("average", TrainingOptions { average: Some(-0.1), ..accumulating(1) }),
    ] {
        let error = network.compile_training(&objective(), &updates, BATCH, &options).unwrap_err();
        assert!(matches!(&error, NetworkError::Argument(text) if text.starts_with(name)), "{error}");
    }
}

#[test]
fn options_are_read_from_json() {
    let read = |text| serde_json::from_str::<TrainingOptions>(text);
    assert_eq!(read("{}").unwrap(), TrainingOptions::default());
    assert_eq!(read(r#"{"accumulate":1,"clip_norm":null,"average":null}"#).unwrap(), TrainingOptions::default());
    let all =
        r#"{"accumulate":3,"clip_norm":0.5,"average":0.9,"gradients":"fixed","slopes":"int8","memory":"balanced"}"#;
    assert_eq!(read(all).unwrap(), ALL);
    assert!(read(r#"{"acumulate":3}"#).unwrap_err().to_string().contains("acumulate"));
}
