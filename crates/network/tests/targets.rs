//! Float targets on their way from the data to an objective.

mod tiny;

use std::sync::Arc;

use binary_nets_data::{Dataset, InMemory, SamplerState};
use binary_nets_network::{NetworkError, TensorView};
use tiny::{
    BATCH, CLASSES, PIXELS, RATES, compile_for, cpu, dataset, everything, in_order, loader, network, pixels, regression,
};

const SAMPLES: usize = 40;

/// Four numbers a sample without structure.
fn targets() -> Vec<f32> {
    (0..SAMPLES * CLASSES).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect()
}

fn with_targets(targets: Vec<f32>) -> Arc<InMemory> {
    Arc::new(InMemory::clone(&dataset(SAMPLES)).with_targets(targets).unwrap())
}

#[test]
fn an_evaluation_sees_the_targets_of_its_samples() {
    let data = with_targets(targets());
    let mut network = network(cpu(1));
    let predictions = network.predict(&pixels(&*data), SAMPLES, &[]).unwrap();
    let squares = predictions[0].data.iter().zip(targets()).map(|(&y, t)| (f64::from(y) - f64::from(t)).powi(2));
    let expected = squares.sum::<f64>() / (SAMPLES * CLASSES) as f64;
    // 40 samples in batches of 16: the last has 8.
    let evaluation = network.evaluate(&mut in_order(data, 16), &regression("target", &[CLASSES])).unwrap();
    assert_eq!(evaluation.samples, SAMPLES);
    // A rounding of f32 a product and a batch, of numbers near 1.
    assert!((evaluation.loss - expected).abs() < 1e-5 * (1.0 + expected), "{} for {expected}", evaluation.loss);
}

#[test]
fn a_step_on_a_loader_is_the_step_on_its_tensors() {
    let data = with_targets(targets());
    let objective = regression("target", &[CLASSES]);
    let (mut by_loader, mut by_hand) = (network(cpu(2)), network(cpu(2)));
    compile_for(&mut by_loader, &objective);
    compile_for(&mut by_hand, &objective);
    by_loader.train_next(&mut loader(&data, SamplerState::default()), &RATES).unwrap().unwrap();

    let batch = loader(&data, SamplerState::default()).next_batch().unwrap().unwrap();
    let target: Vec<f32> =
        batch.indices.iter().flat_map(|&i| targets()[i as usize * CLASSES..][..CLASSES].to_vec()).collect();
    let tensors = [("image", TensorView::U8(&batch.images)), ("target", TensorView::F32(&target))];
    by_hand.train_step(&tensors, &RATES).unwrap();
    assert!(everything(&by_loader) == everything(&by_hand));
    assert!(everything(&by_hand) != everything(&network(cpu(1))));
}

#[test]
fn data_without_the_targets_that_an_objective_takes_are_refused() {
    let message = |error| match error {
        NetworkError::Argument(message) => message,
        error => panic!("{error}"),
    };
    let objective = regression("target", &[CLASSES]);
    let mut network = network(cpu(1));
    compile_for(&mut network, &objective);
    let before = everything(&network);
    for (data, expected) in [
        (dataset(SAMPLES), "the objective takes 'target', the data has no targets"),
        (with_targets(vec![0.0; 3 * SAMPLES]), "the objective takes 4 targets of each sample, the data has 3"),
    ] {
        let mut batches = loader(&data, SamplerState::default());
        assert_eq!(message(network.train_next(&mut batches, &RATES).unwrap_err()), expected);
        assert_eq!(batches.state(), SamplerState::default(), "no batch is lost");
        assert_eq!(message(network.evaluate(&mut in_order(data, 16), &objective).unwrap_err()), expected);
    }
    assert!(everything(&network) == before);

    let (images, few) = (vec![0; BATCH * PIXELS], vec![0.0; BATCH]);
    let tensors = [("image", TensorView::U8(&images)), ("target", TensorView::F32(&few))];
    let error = network.train_step(&tensors, &RATES).unwrap_err();
    assert!(matches!(&error, NetworkError::Elements { name, got: BATCH, .. } if name == "target"), "{error}");

    // Targets that an objective does not look at are passed over.
    let evaluation = network.evaluate(&mut in_order(with_targets(targets()), 16), &tiny::objective()).unwrap();
    assert_eq!(evaluation, network.evaluate(&mut in_order(dataset(SAMPLES), 16), &tiny::objective()).unwrap());
    assert_eq!(with_targets(targets()).targets(), CLASSES);
}
