//! Stochastic rounding of gradients.

use serde::{Deserialize, Serialize};

use super::dropout::mix;

/// Multiplies gradients as whole numbers of −127 to 127 that they are rounded to at random, so that their mean stays ([Gupta et al.
/// 2015](https://arxiv.org/abs/1502.02551)); random by (seed, step, stream, index).
///
/// With `M` the largest magnitude of the tensor, `g` becomes `⌊g·127/M + u⌋`, and sums of those, exact where a backend makes them in blocks of few enough, are multiplied by `M/127` in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticRounding {
    /// Distinguishes the tensors of a step.
    pub stream: u64,
}

/// What the numbers of one tensor are rounded with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rounding {
    /// What a whole number stands for; not finite where the tensor is not.
    pub unit: f32,
    /// Its inverse.
    factor: f32,
    key: [u32; 2],
}

impl StochasticRounding {
    /// The largest whole number.
    pub const MOST: f32 = 127.0;

    /// The rounding of a tensor whose largest magnitude is `most`.
    pub fn of(&self, most: f32, seed: u64, step: u64) -> Rounding {
        let key = mix(mix(mix(seed).wrapping_add(step)).wrapping_add(self.stream));
        let factor = Self::MOST / most;
        // What is too small for an inverse is nothing.
        let (unit, factor) =
            if most.is_finite() && factor.is_infinite() { (0.0, 0.0) } else { (most / Self::MOST, factor) };
        Rounding { unit, factor, key: [key as u32, (key >> 32) as u32] }
    }
}

impl Rounding {
    /// The whole number that element `index` of value `g` becomes, the same on every backend.
    ///
    /// `u` is in the middle of one of 2¹⁶ steps from 0 to 1, so that g and −g are alike: the upper bits of `hash(index ^ k₀) ^ k₁`, by the hash that Wellons found (2018, "hash prospector").
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it becomes vector code inside the kernels that call it")]
    pub fn round(&self, g: f32, index: u32) -> f32 {
        let [k0, k1] = self.key;
        let mut x = index ^ k0;
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x = (x ^ (x >> 16)) ^ k1;
        let u = (x >> 15 | 1) as f32 * (1.0 / 131_072.0);
        (g * self.factor + u).floor().clamp(-StochasticRounding::MOST, StochasticRounding::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over 2¹⁶ numbers, the mean of ⌊x + u⌋ deviates from x by less than five times its deviation, √(f(1 − f)/n).
    #[test]
    fn means_stay() {
        let n = 1 << 16;
        for (i, x) in [0.0, 0.001, 0.25, 0.5, 0.9, 1.3, -0.3, -126.7, 126.99].into_iter().enumerate() {
            let rounding = StochasticRounding { stream: i as u64 }.of(127.0, 7, 3);
            let sum: f64 = (0..n).map(|index| f64::from(rounding.round(x, index))).sum();
            let (mean, part) = (sum / f64::from(n), f64::from(x - x.floor()));
            let deviation = (part * (1.0 - part) / f64::from(n)).sqrt();
            assert!((mean - f64::from(x)).abs() <= 5.0 * deviation + 2f64.powi(-17), "{x}: {mean}");
        }
    }

    /// `u` is as often so far above 0 as below 1.
    #[test]
    fn neither_sign_is_preferred() {
        let rounding = StochasticRounding { stream: 1 }.of(127.0, 7, 3);
        let sum = |x: f32| (0..1 << 20).map(|index| f64::from(rounding.round(x, index))).sum::<f64>();
        // A step of 2⁻¹⁶ has 16 of these numbers, give or take a few.
        assert!((4.0..40.0).contains(&sum(2f32.powi(-16))), "{}", sum(2f32.powi(-16)));
        assert!((-40.0..-4.0).contains(&sum(-2f32.powi(-16))), "{}", sum(-2f32.powi(-16)));
    }

    #[test]
    fn neighbours_seeds_steps_and_streams_are_rounded_apart() {
        let bits = |seed, step, stream| {
            let rounding = StochasticRounding { stream }.of(127.0, seed, step);
            (0..4096).map(move |index| rounding.round(0.5, index)).collect::<Vec<f32>>()
        };
        let first = bits(1, 1, 1);
        let same = |other: &[f32]| first.iter().zip(other).filter(|(a, b)| a == b).count();
        for other in [bits(2, 1, 1), bits(1, 2, 1), bits(1, 1, 2)] {
            assert!((1800..2300).contains(&same(&other)), "{}", same(&other));
        }
        assert!((1800..2300).contains(&same(&first[1..])));
    }

    #[test]
    fn the_largest_are_kept_and_what_is_no_number_shows() {
        let rounding = StochasticRounding { stream: 0 }.of(3.0, 1, 1);
        for index in 0..1000 {
            assert_eq!([rounding.round(3.0, index), rounding.round(-3.0, index)], [127.0, -127.0]);
        }
        let stochastic = StochasticRounding { stream: 0 };
        assert_eq!(stochastic.of(0.0, 1, 1).round(0.0, 5), 0.0);
        assert_eq!(stochastic.of(1e-40, 1, 1).unit, 0.0);
        assert!(stochastic.of(f32::NAN, 1, 1).unit.is_nan() && stochastic.of(f32::INFINITY, 1, 1).unit.is_infinite());
    }
}
