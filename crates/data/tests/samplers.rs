//! The order of epochs, and the random numbers behind it.

use std::collections::{BTreeMap, BTreeSet};

use binary_nets_data::{Balanced, DataError, Random, Sampler, SamplerState, Sequential, Shuffle, Weighted};

#[test]
fn random_numbers_are_those_of_splitmix64() {
    // The reference outputs for seed 1234567 that accompany the generator's public test suites.
    let expected = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    let random = Random::new(1_234_567);
    assert_eq!([0, 1, 2, 3, 4].map(|place| random.at(place)), expected);
    assert_eq!(random.child(2), Random::new(expected[2]));
    assert_eq!(random.below(7, 0), 0);
    assert_eq!(random.below(7, 1), 0);
}

#[test]
fn small_ranges_and_units_are_uniform() {
    let random = Random::new(5);
    let mut counts = [0_u32; 6];
    for place in 0..60_000 {
        counts[random.below(place, 6)] += 1;
    }
    assert!(chi_square(&counts, &[1.0 / 6.0; 6]) < 20.5, "{counts:?}"); // 5 degrees of freedom, p = 0.001
    let mean = (0..60_000).map(|place| random.unit(place)).sum::<f64>() / 60_000.0;
    assert!((mean - 0.5).abs() < 0.005, "{mean}"); // 4 standard errors of 0.2887 / sqrt(60000)
}

#[test]
fn every_permutation_of_a_shuffle_is_as_likely() {
    let mut counts = BTreeMap::<Vec<u32>, u32>::new();
    for epoch in 0..24_000 {
        *counts.entry(Shuffle::new(4, 3).order(epoch)).or_default() += 1;
    }
    let counts: Vec<u32> = counts.into_values().collect();
    assert_eq!(counts.len(), 24);
    assert!(chi_square(&counts, &[1.0 / 24.0; 24]) < 49.8, "{counts:?}"); // 23 degrees of freedom, p = 0.001
}

fn chi_square(counts: &[u32], probabilities: &[f64]) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>());
    let term = |(&count, &p): (&u32, &f64)| (f64::from(count) - p * total).powi(2) / (p * total);
    counts.iter().zip(probabilities).map(term).sum()
}

#[test]
fn sequential_and_shuffle_visit_everything_once() {
    for len in [0, 1, 2, 63, 1000] {
        let all: Vec<u32> = (0..len).collect();
        assert_eq!(Sequential::new(len as usize).order(4), all);
        let mut shuffled = Shuffle::new(len as usize, 9).order(4);
        assert_eq!(Shuffle::new(len as usize, 9).order(4), shuffled);
        shuffled.sort_unstable();
        assert_eq!(shuffled, all);
    }
    let order = Shuffle::new(1000, 9).order(4);
    assert_ne!(order, Shuffle::new(1000, 9).order(5));
    assert_ne!(order, Shuffle::new(1000, 8).order(4));
}

#[test]
fn weighted_draws_in_proportion() {
    let weights = [0.0, 1.0, 2.0, 0.0, 4.0, 0.5, 0.0];
    let sampler = Weighted::new(&weights, 30_000, 11).unwrap();
    assert_eq!(sampler.len(), 30_000);
    let order = sampler.order(2);
    assert_eq!(order, sampler.order(2));
    assert_ne!(order, sampler.order(3));
    let mut counts = [0; 7];
    for index in order {
        counts[index as usize] += 1;
    }
    let drawn = [1, 2, 4, 5];
    assert_eq!(drawn.iter().map(|&i| counts[i]).sum::<u32>(), 30_000, "weights of zero are never drawn");
    let chi = chi_square(&drawn.map(|i| counts[i]), &drawn.map(|i| weights[i] / 7.5));
    assert!(chi < 16.3, "{counts:?}"); // 3 degrees of freedom, p = 0.001
}

#[test]
fn weights_that_cannot_be_are_errors() {
    for weights in [&[1.0, -0.1][..], &[f64::NAN], &[f64::INFINITY], &[0.0, 0.0], &[], &[f64::MAX, f64::MAX]] {
        let error = Weighted::new(weights, 1, 0).unwrap_err();
        assert!(matches!(error, DataError::InvalidOption { option: "weights", .. }), "{weights:?}: {error}");
    }
}

/// Labels in which identity i has `counts[i]` samples, the identities interleaved.
fn labels(counts: &[usize]) -> Vec<u32> {
    let most = counts.iter().copied().max().unwrap_or(0);
    let round = |round| (0..counts.len()).filter(move |&i| counts[i] > round).map(|i| i as u32 * 3);
    (0..most).flat_map(round).collect()
}

#[test]
fn balanced_batches_hold_p_identities_with_k_images() {
    let cases: [(&[usize], usize, usize, usize); 6] = [
        (&[4, 4, 4, 4], 2, 4, 2),
        (&[40, 4, 4, 4], 2, 4, 3), // the big identity meets another only three times
        (&[9, 7, 1, 3, 12, 2], 3, 4, 3),
        (&[2, 2, 2], 3, 4, 1),
        (&[100, 90, 80, 70], 4, 1, 70),
        (&[5; 50], 16, 4, 3),
    ];
    for (counts, identities, images, batches) in cases {
        let labels = labels(counts);
        let sampler = Balanced::new(&labels, identities, images, 7).unwrap();
        assert_eq!(sampler.batch_size(), Some(identities * images));
        assert_eq!(sampler.len(), batches * identities * images, "{counts:?}");
        for epoch in 0..20 {
            let order = sampler.order(epoch);
            assert_eq!(order.len(), sampler.len());
            assert_eq!(order, sampler.order(epoch));
            let mut visits = BTreeMap::<u32, u32>::new();
            for batch in order.chunks(identities * images) {
                let mut seen = BTreeSet::new();
                for hand in batch.chunks(images) {
                    let identity = labels[hand[0] as usize];
                    assert!(hand.iter().all(|&sample| labels[sample as usize] == identity));
                    assert!(seen.insert(identity), "an identity comes twice in {counts:?}");
                    for &sample in hand {
                        *visits.entry(sample).or_default() += 1;
                    }
                }
            }
            for (sample, times) in visits {
                let count = counts[labels[sample as usize] as usize / 3];
                let most = if count < images { images.div_ceil(count) } else { 1 };
                assert!(times as usize <= most, "sample {sample} of {counts:?} came {times} times");
            }
        }
    }
}

#[test]
fn balanced_epochs_differ_and_leave_nobody_out_for_ever() {
    let labels = labels(&[9, 7, 1, 3, 12, 2, 5]);
    let sampler = Balanced::new(&labels, 3, 4, 7).unwrap();
    assert_ne!(sampler.order(0), sampler.order(1));
    let seen: BTreeSet<u32> = (0..50).flat_map(|epoch| sampler.order(epoch)).collect();
    assert_eq!(seen.len(), labels.len());
}

#[test]
fn balanced_batches_that_cannot_be_are_errors() {
    let labels = labels(&[4, 4]);
    for (identities, images, culprit) in
        [(0, 4, "identities"), (3, 4, "identities"), (2, 0, "imagesPerIdentity"), (usize::MAX, 4, "identities")]
    {
        let error = Balanced::new(&labels, identities, images, 0).unwrap_err();
        assert!(matches!(error, DataError::InvalidOption { option, .. } if option == culprit), "{error}");
    }
}

#[test]
fn states_survive_json() {
    let state = SamplerState { epoch: 3, position: 192 };
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(json, r#"{"epoch":3,"position":192}"#);
    assert_eq!(serde_json::from_str::<SamplerState>(&json).unwrap(), state);
}
