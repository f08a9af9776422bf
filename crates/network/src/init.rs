//! How states start.

use binary_nets_graph::Init;
use binary_nets_graph::ops::State;

use crate::stream::Stream;

/// The initial elements of a state: a pure function of (seed, path, index).
pub(crate) fn initial(state: &State, seed: u64) -> Vec<f32> {
    let n = state.shape.elements();
    let stream = Stream::new(seed, &state.path);
    match state.init {
        Init::Constant(value) => vec![value; n],
        Init::Uniform { bound } => {
            (0..n as u64).map(|i| ((2.0 * stream.uniform(i) - 1.0) * f64::from(bound)) as f32).collect()
        }
        Init::KaimingNormal => {
            let fan_out: usize =
                state.shape.iter().enumerate().filter(|&(axis, _)| axis != 1).map(|(_, &extent)| extent).product();
            let deviation = (2.0 / fan_out as f64).sqrt();
            (0..n as u64).map(|i| (stream.normal(i) * deviation) as f32).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use binary_nets_graph::Meaning;
    use binary_nets_graph::ops::StateKind;

    use super::*;

    fn state(path: &str, init: Init) -> State {
        State {
            path: path.to_owned(),
            shape: [64, 32, 3, 3].into(),
            kind: StateKind::Latent,
            init,
            meaning: Meaning::F32,
        }
    }

    #[test]
    fn kaiming_normal_has_the_deviation_of_its_fan_out() {
        let x = initial(&state("conv1.weight", Init::KaimingNormal), 1);
        let n = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
        let expected = 2.0 / (64.0 * 9.0);
        assert!(mean.abs() < 4.0 * (expected / n).sqrt(), "mean {mean}");
        assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "variance {variance}");
    }

    #[test]
    fn uniform_stays_within_its_bound_and_fills_it() {
        let x = initial(&state("fc.weight", Init::Uniform { bound: 0.25 }), 1);
        assert!(x.iter().all(|v| v.abs() <= 0.25) && x.iter().any(|&v| v > 0.24) && x.iter().any(|&v| v < -0.24));
    }

    #[test]
    fn seed_and_path_choose_the_numbers() {
        let numbers = |path, seed| initial(&state(path, Init::KaimingNormal), seed);
        assert_eq!(numbers("a", 1), numbers("a", 1));
        assert_ne!(numbers("a", 1), numbers("a", 2));
        assert_ne!(numbers("a", 1), numbers("b", 1));
    }
}
