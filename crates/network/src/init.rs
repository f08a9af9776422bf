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
        Init::Uniform { low, high } => {
            let (low, high) = (f64::from(low), f64::from(high));
            (0..n as u64).map(|i| (low + (high - low) * stream.uniform(i)) as f32).collect()
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
    fn uniform_stays_between_its_ends_and_fills_what_is_between() {
        for (low, high) in [(-0.25, 0.25), (0.0, 1.0), (-3.0, -1.0), (0.5, 0.5)] {
            let x = initial(&state("fc.weight", Init::Uniform { low, high }), 1);
            let near = 0.01 * (high - low);
            assert!(x.iter().all(|v| (low..=high).contains(v)), "{low} {high}");
            assert!(x.iter().any(|&v| v <= low + near) && x.iter().any(|&v| v >= high - near), "{low} {high}");
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
            // Four deviations of the mean of as many uniform numbers.
            let deviation = f64::from(high - low) / (12.0 * x.len() as f64).sqrt();
            assert!((mean - f64::from(low + high) / 2.0).abs() <= 4.0 * deviation, "{low} {high}: mean {mean}");
        }
    }

    #[test]
    fn seed_and_path_choose_the_numbers() {
        let numbers = |path, seed| initial(&state(path, Init::KaimingNormal), seed);
        assert_eq!(numbers("a", 1), numbers("a", 1));
        assert_ne!(numbers("a", 1), numbers("a", 2));
        assert_ne!(numbers("a", 1), numbers("b", 1));
    }
}
