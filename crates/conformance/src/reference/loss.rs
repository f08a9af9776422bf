//! The classification loss and its count of hits.

use binary_nets_graph::ops::{CountCorrect, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};

use crate::Tensor;

/// `log softmax` of one sample's logits.
fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|l| (l - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|l| l - largest - log_sum).collect()
}

/// `(1 − e)·onehot + e/C`
fn target(class: usize, label: f64, classes: usize, smoothing: f32) -> f64 {
    let e = f64::from(smoothing);
    let onehot = if class as f64 == label { 1.0 } else { 0.0 };
    (1.0 - e) * onehot + e / classes as f64
}

/// Each sample's logits and label.
fn samples<'a>(logits: &'a Tensor, label: &'a Tensor) -> impl ExactSizeIterator<Item = (&'a [f64], f64)> {
    logits.data.chunks(logits.shape[1]).zip(label.data.iter().copied())
}

pub fn softmax_cross_entropy(op: &SoftmaxCrossEntropy, logits: &Tensor, label: &Tensor) -> Tensor {
    let samples = samples(logits, label);
    let n = samples.len() as f64;
    let losses = samples.map(|(logits, label)| {
        let log = log_softmax(logits);
        -(0..log.len()).map(|c| target(c, label, log.len(), op.label_smoothing) * log[c]).sum::<f64>()
    });
    Tensor::number(losses.sum::<f64>() / n)
}

pub fn softmax_cross_entropy_grad(
    op: &SoftmaxCrossEntropyGrad,
    logits: &Tensor,
    label: &Tensor,
    dloss: &Tensor,
) -> Tensor {
    let samples = samples(logits, label);
    let n = samples.len() as f64;
    let grads = samples.flat_map(|(logits, label)| {
        let log = log_softmax(logits);
        (0..log.len()).map(move |c| log[c].exp() - target(c, label, log.len(), op.label_smoothing)).collect::<Vec<_>>()
    });
    Tensor::new(logits.shape.clone(), grads.map(|g| dloss.data[0] * g / n).collect())
}

pub fn count_correct(op: &CountCorrect, logits: &Tensor, label: &Tensor) -> Tensor {
    let hits = samples(logits, label).filter(|&(logits, label)| {
        let label = label as usize;
        let is_larger = |c: usize| logits[c] > logits[label] || (logits[c] == logits[label] && c < label);
        (0..logits.len()).filter(|&c| is_larger(c)).count() < op.k
    });
    Tensor::number(hits.count() as f64)
}
