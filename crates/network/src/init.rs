//! How states start.

use binary_nets_graph::Init;
use binary_nets_graph::ops::State;

/// The initial elements of a state: a pure function of (seed, path, index).
pub(crate) fn initial(state: &State, seed: u64) -> Vec<f32> {
    let n = state.shape.elements();
    // FNV-1a of the path gives each tensor a stream of its own.
    let path = state
        .path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let stream = mix(seed ^ mix(path));
    let uniform =
        |i: u64| (mix(stream.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 11) as f64 / (1u64 << 53) as f64;
    match state.init {
        Init::Constant(value) => vec![value; n],
        Init::Uniform { low, high } => {
            let (low, high) = (f64::from(low), f64::from(high));
            (0..n as u64).map(|i| (low + (high - low) * uniform(i)) as f32).collect()
        }
        Init::KaimingNormal => {
            let fan_out: usize =
                state.shape.iter().enumerate().filter(|&(axis, _)| axis != 1).map(|(_, &extent)| extent).product();
            let deviation = (2.0 / fan_out as f64).sqrt();
            // Box and Muller 1958; 1 − u lies in (0, 1].
            let normal = |i: u64| {
                (-2.0 * (1.0 - uniform(2 * i)).ln()).sqrt() * (std::f64::consts::TAU * uniform(2 * i + 1)).cos()
            };
            (0..n as u64).map(|i| (normal(i) * deviation) as f32).collect()
        }
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
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
