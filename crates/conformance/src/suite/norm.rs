//! Batch norms and their statistics.

use binary_nets_graph::ops::{
    BatchNorm, BatchNormFused, BatchNormGrad, BatchNormInference, StatisticsMomentum, UpdateStatistics,
};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

const EPS: f64 = 1e-5;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        for (sample, fill, kind) in [
            (vec![5, 3, c], Fill::Uniform(2.0), "map"),
            (vec![c], Fill::Uniform(1.0), "rows"),
            (vec![9, 1, c], Fill::Offset, "offset"),
        ] {
            let mut b = Builder::with_batch(format!("batch_norm/{kind}/c{c}"), 3);
            let x = b.input(&sample, fill);
            let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
            let (mean, var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
            let outputs = b.ops(BatchNorm { eps: EPS, momentum: 0.1 }, &[x, gamma, beta, mean, var]);
            cases.push(b.outputs(&outputs));

            for (add, relu) in [(true, true), (true, false), (false, true)] {
                let mut b = Builder::with_batch(format!("batch_norm_fused/{kind}/c{c}/add={add}/relu={relu}"), 3);
                let x = b.input(&sample, fill);
                let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
                let mut inputs = vec![x, gamma, beta];
                if add {
                    inputs.push(b.input(&sample, Fill::Uniform(1.0)));
                }
                let outputs = b.ops(BatchNormFused { eps: EPS, add, relu }, &inputs);
                cases.push(b.outputs(&outputs));
            }

            let mut b = Builder::with_batch(format!("batch_norm_inference/{kind}/c{c}"), 3);
            let x = b.input(&sample, fill);
            let (gamma, beta) = (b.state(&[c], Fill::Turning), b.state(&[c], Fill::Uniform(1.0)));
            let (mean, var) = (b.state(&[c], Fill::Uniform(1.0)), b.state(&[c], Fill::Positive));
            let y = b.op(BatchNormInference { eps: EPS }, &[x, gamma, beta, mean, var]);
            cases.push(b.outputs(&[y]));

            let mut b = Builder::with_batch(format!("batch_norm_grad/{kind}/c{c}"), 3);
            let x = b.input(&sample, fill);
            let dy = b.input(&sample, Fill::Uniform(1.0));
            let (gamma, mean, var) = (b.state(&[c], Fill::Turning), b.state(&[c], fill), b.state(&[c], Fill::Positive));
            let outputs = b.ops(BatchNormGrad { eps: EPS }, &[x, gamma, mean, var, dy]);
            cases.push(b.outputs(&outputs));
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
