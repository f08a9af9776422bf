//! How many signs of latent weights change.

mod tiny;

use binary_nets_data::SamplerState;
use binary_nets_network::NetworkError;
use tiny::{BATCH, WIDTH, cpu, dataset, loader, train, trainable};

const PATH: &str = "conv2.weight";
const TOTAL: u64 = (WIDTH * WIDTH * 9) as u64;

#[test]
fn flips_are_counted() {
    let mut network = trainable(cpu(1));
    let error = network.flipped_signs(&[0]).unwrap_err();
    assert!(matches!(&error, NetworkError::Argument(text) if text.contains("1 were given")), "{error}");

    let weights: Vec<f32> = (0..TOTAL).map(|i| if i % 3 == 0 { -0.5 } else { 0.5 }).collect();
    network.set_state(PATH, &weights).unwrap();
    let before = network.signs().unwrap();
    assert_eq!(network.flipped_signs(&before).unwrap(), (0, TOTAL));
    let mut other = weights.clone();
    // 63, 66 and 573 were negative, the rest positive; zeros count as positive.
    for (i, w) in [(63, 0.25), (64, -0.25), (65, 0.0), (66, 0.0), (130, -0.0), (573, 1.0), (575, -1.0)] {
        other[i] = w;
    }
    network.set_state(PATH, &other).unwrap();
    network.set_state("fc.weight", &[-9.0; tiny::CLASSES * WIDTH]).unwrap();
    assert_eq!(network.flipped_signs(&before).unwrap(), (5, TOTAL));
}

#[test]
fn training_flips_signs() {
    let data = dataset(BATCH * 6);
    let mut network = trainable(cpu(2));
    let signs = network.signs().unwrap();
    let before = network.state(PATH).unwrap();
    train(&mut network, &mut loader(&data, SamplerState::default()), 20);
    let after = network.state(PATH).unwrap();
    let flipped = before.iter().zip(&after).filter(|(a, b)| (**a < 0.0) != (**b < 0.0)).count();
    assert!(flipped > 0);
    assert_eq!(network.flipped_signs(&signs).unwrap(), (flipped as u64, TOTAL));
}
