//! Batch norms and their statistics.

use binary_nets_graph::ops::{
    BatchNorm, BatchNormFused, BatchNormGrad, BatchNormInference, BinaryConv2d, Sign, StatisticsMomentum, Surrogate,
    UpdateStatistics,
};
use binary_nets_graph::{Value, Window};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

const EPS: f64 = 1e-5;

/// What is normalised.
#[derive(Clone, Copy)]
enum Source {
    Floats(Fill),
    /// Integers of magnitudes up to that, and how many factors they have.
    Integers(u16, usize),
}

impl Source {
    /// Adds x; yields it, and the factors where there are some.
    fn add(self, b: &mut Builder, sample: &[usize]) -> (Value, Option<Value>) {
        match self {
            Self::Floats(fill) => (b.input(sample, fill), None),
            Self::Integers(most, factors) => (b.integers(sample, most), Some(b.state(&[factors], Fill::Positive))),
        }
    }
}

/// Norms, and their gradients, of what binary convolutions yield.
fn behind_convolutions() -> Vec<Case> {
    let case = |o: usize, factors: usize| {
        let mut b = Builder::with_batch(format!("norm_behind_convolution/{factors}/o{o}"), 3);
        let x = b.input(&[5, 3, 14], Fill::Turning);
        let codes = b.op(Sign { gradient: Surrogate::Clip, groups: 2 }, &[x]);
        let (bits, alpha) = (b.frozen_bits(&[o, 3, 3, 7]), b.state(&[factors], Fill::Positive));
        let y = b.op(BinaryConv2d { window: Window::square(3, 1, 1), pad_value: 0 }, &[codes, bits, alpha]);
        let [gamma, beta, mean, var] = std::array::from_fn(|_| b.state(&[o], Fill::Positive));
        let norm = b.ops(BatchNorm { eps: EPS, momentum: 0.1 }, &[y, gamma, beta, mean, var]);
        let dy = b.input(&[5, 3, o], Fill::Uniform(1.0));
        let grad = b.ops(BatchNormGrad { eps: EPS }, &[y, gamma, mean, var, dy]);
        b.outputs(&[norm, grad].concat())
    };
    [4, 64, 130].into_iter().flat_map(|o| [1, 2, o].map(|factors| case(o, factors))).collect()
}

pub fn cases() -> Vec<Case> {
    let mut cases = behind_convolutions();
    for c in CHANNELS {
        for (sample, source, kind) in [
            (vec![5, 3, c], Source::Floats(Fill::Uniform(2.0)), "map"),
            (vec![c], Source::Floats(Fill::Uniform(1.0)), "rows"),
            (vec![9, 1, c], Source::Floats(Fill::Offset), "offset"),
            (vec![5, 3, c], Source::Integers(27, c), "integers"),
            (vec![9, 1, c], Source::Integers(32_767, 1), "largest integers"),
            (vec![5, 3, c], Source::Integers(576, if c.is_multiple_of(2) { 2 } else { c }), "groups"),
        ] {
            let mut b = Builder::with_batch(format!("batch_norm/{kind}/c{c}"), 3);
            let (x, alpha) = source.add(&mut b, &sample);
            let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
            let (mean, var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
            let inputs: Vec<Value> = [x, gamma, beta, mean, var].into_iter().chain(alpha).collect();
            let outputs = b.ops(BatchNorm { eps: EPS, momentum: 0.1 }, &inputs);
            cases.push(b.outputs(&outputs));

            for (add, relu) in [(true, true), (true, false), (false, true)] {
                let mut b = Builder::with_batch(format!("batch_norm_fused/{kind}/c{c}/add={add}/relu={relu}"), 3);
                let (x, alpha) = source.add(&mut b, &sample);
                let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
                let mut inputs = vec![x, gamma, beta];
                if add {
                    inputs.push(b.input(&sample, Fill::Uniform(1.0)));
                }
                inputs.extend(alpha);
                let outputs = b.ops(BatchNormFused { eps: EPS, add, relu }, &inputs);
                cases.push(b.outputs(&outputs));
            }

            let mut b = Builder::with_batch(format!("batch_norm_grad/{kind}/c{c}"), 3);
            let (x, alpha) = source.add(&mut b, &sample);
            let dy = b.input(&sample, Fill::Uniform(1.0));
            let spread = if let Source::Floats(fill) = source { fill } else { Fill::Uniform(32.0) };
            let (gamma, mean, var) =
                (b.state(&[c], Fill::Turning), b.state(&[c], spread), b.state(&[c], Fill::Positive));
            let inputs: Vec<Value> = [x, gamma, mean, var, dy].into_iter().chain(alpha).collect();
            let outputs = b.ops(BatchNormGrad { eps: EPS }, &inputs);
            cases.push(b.outputs(&outputs));

            if let Source::Floats(fill) = source {
                let mut b = Builder::with_batch(format!("batch_norm_inference/{kind}/c{c}"), 3);
                let x = b.input(&sample, fill);
                let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
                let (mean, var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
                let y = b.op(BatchNormInference { eps: EPS }, &[x, gamma, beta, mean, var]);
                cases.push(b.outputs(&[y]));
            }
        }
        for (momentum, step) in [
            (StatisticsMomentum::Fixed(0.1), 5),
            (StatisticsMomentum::Cumulative, 0),
            (StatisticsMomentum::Cumulative, 3),
        ] {
            let mut b = Builder::new(format!("update_statistics/{momentum:?}/step{step}/c{c}"));
            let (running_mean, running_var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
            let (mean, var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
            b.ops(UpdateStatistics { momentum, count: 18 }, &[running_mean, running_var, mean, var]);
            cases.push(b.at_step(step, &[]));
        }
    }
    cases
}
