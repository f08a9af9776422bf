//! Averages of parameters and running statistics.

mod tiny;

use std::collections::BTreeMap;

use binary_nets_cpu::Cpu;
use binary_nets_data::SamplerState;
use binary_nets_network::{Network, NetworkError, TrainingOptions};
use tiny::{BATCH, compile_with, cpu, dataset, everything, loader, network, states, train, trainable};

const DECAY: f64 = 0.75;

fn averaging(accumulate: usize) -> Network<Cpu> {
    let mut network = network(cpu(2));
    compile_with(&mut network, &TrainingOptions { accumulate, average: Some(DECAY), ..TrainingOptions::default() });
    network
}

fn averages(network: &Network<Cpu>) -> BTreeMap<String, Vec<f32>> {
    let average = |path: String| (path.clone(), network.state(&format!("{path}#average")).unwrap());
    states(network).into_keys().map(average).collect()
}

fn logits(network: &mut Network<Cpu>) -> Vec<f32> {
    network.predict(&tiny::samples(5).0, 5, &[]).unwrap().remove(0).data
}

#[test]
fn averages_follow_parameters_and_statistics_after_each_update() {
    let data = dataset(BATCH * 6);
    for accumulate in [1, 2] {
        let mut network = averaging(accumulate);
        assert!(averages(&network) == states(&network), "they start as copies");
        let mut expected: BTreeMap<String, Vec<f64>> =
            states(&network).into_iter().map(|(path, x)| (path, x.into_iter().map(f64::from).collect())).collect();
        let mut batches = loader(&data, SamplerState::default());
        for _ in 0..5 {
            for _ in 1..accumulate {
                let before = averages(&network);
                train(&mut network, &mut batches, 1);
                assert!(before == averages(&network), "only an update moves them");
            }
            train(&mut network, &mut batches, 1);
            for (path, values) in states(&network) {
                let means = expected.get_mut(&path).unwrap();
                means.iter_mut().zip(values).for_each(|(mean, x)| *mean = DECAY * *mean + (1.0 - DECAY) * f64::from(x));
            }
        }
        for (path, got) in averages(&network) {
            let off = got.iter().zip(&expected[&path]).fold(0f64, |m, (a, b)| m.max((f64::from(*a) - b).abs()));
            // Five roundings of numbers around 1.
            assert!(off <= 1e-6, "{path} is off by {off:e}");
            assert!(got != states(&network)[&path], "{path} moves");
        }
    }
}

#[test]
fn averages_do_not_change_what_is_trained() {
    let data = dataset(BATCH * 6);
    let (mut with, mut without) = (averaging(1), trainable(cpu(2)));
    train(&mut with, &mut loader(&data, SamplerState::default()), 5);
    train(&mut without, &mut loader(&data, SamplerState::default()), 5);
    assert!(states(&with) == states(&without));
}

#[test]
fn swapping_exchanges_and_swaps_back() {
    let data = dataset(BATCH * 6);
    let mut network = averaging(1);
    train(&mut network, &mut loader(&data, SamplerState::default()), 5);
    let (before, own, means) = (everything(&network), states(&network), averages(&network));
    let predicted = logits(&mut network);

    network.swap_averages().unwrap();
    assert!(states(&network) == means && averages(&network) == own);
    let mut mean = tiny::network(cpu(2));
    for (path, values) in &means {
        mean.set_state(path, values).unwrap();
    }
    // Folded constants follow.
    assert_eq!(logits(&mut network), logits(&mut mean));
    assert_ne!(logits(&mut network), predicted);

    network.swap_averages().unwrap();
    assert!(everything(&network) == before);
    assert_eq!(logits(&mut network), predicted);
}

#[test]
fn a_file_keeps_them() {
    let data = dataset(BATCH * 6);
    let mut network = averaging(1);
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("averaged");
    network.save(&path, "").unwrap();
    let (mut again, _) = Network::open(cpu(1), &path).unwrap();
    again.swap_averages().unwrap();
    assert!(states(&again) == averages(&network));
}

#[test]
fn without_averages_there_is_nothing_to_swap() {
    let mut network = trainable(cpu(1));
    let error = network.swap_averages().unwrap_err();
    assert!(matches!(&error, NetworkError::Argument(text) if text.contains("no averages")), "{error}");
}

#[test]
fn a_fresh_run_averages_afresh() {
    let data = dataset(BATCH * 6);
    let mut network = averaging(1);
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    assert!(averages(&network) != states(&network));
    network.reset_moments().unwrap();
    assert!(averages(&network) == states(&network));
}

/// What was not trained from the start is averaged from the step on that trains it.
#[test]
fn averages_that_come_later_start_as_copies() {
    let data = dataset(BATCH * 6);
    let mut network = trainable(cpu(1));
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    compile_with(&mut network, &TrainingOptions { average: Some(DECAY), ..TrainingOptions::default() });
    assert!(averages(&network) == states(&network));
}

/// Averages of an earlier run are not those of this one.
#[test]
fn a_run_without_averages_leaves_none_to_swap() {
    let data = dataset(BATCH * 6);
    let mut network = averaging(1);
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    tiny::compile(&mut network);
    train(&mut network, &mut loader(&data, SamplerState::default()), 3);
    let before = everything(&network);
    let error = network.swap_averages().unwrap_err();
    assert!(matches!(&error, NetworkError::Argument(text) if text.contains("no averages")), "{error}");
    assert!(everything(&network) == before);
}
