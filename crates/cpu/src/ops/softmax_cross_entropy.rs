//! The classification loss and its count of hits; each sample in f64, rounded once.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{CountCorrect, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};

use super::plain;
use crate::io::Kernel;

/// Samples in one piece of work.
const CHUNK: usize = 4;

/// The largest of the logits, and the sum of `exp(x − largest)`.
fn softmax_parts(logits: &[f32]) -> (f64, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
    (largest, logits.iter().map(|&x| (f64::from(x) - largest).exp()).sum())
}

pub fn prepare(op: &SoftmaxCrossEntropy, io: &IoMeta) -> Prepared<Kernel> {
    let (n, classes) = (io.inputs[0].shape.rows(), io.inputs[0].shape.channels());
    let smoothing = f64::from(op.label_smoothing);
    let kernel: Kernel = Box::new(move |io| {
        let (logits, label, losses) = (io.input::<f32>(0), io.input::<u32>(1), io.scratch::<f64>());
        io.threads().for_chunks(losses, CHUNK, |i, losses| {
            for (sample, loss) in (i * CHUNK..).zip(losses) {
                let logits = &logits[sample * classes..][..classes];
                let (largest, sum) = softmax_parts(logits);
                let expected = if smoothing == 0.0 {
                    f64::from(logits[label[sample] as usize])
                } else {
                    let all: f64 = logits.iter().map(|&x| f64::from(x)).sum();
                    (1.0 - smoothing) * f64::from(logits[label[sample] as usize]) + smoothing / classes as f64 * all
                };
                *loss = largest + sum.ln() - expected;
            }
        });
        io.output(0)[0] = (losses.iter().sum::<f64>() / n as f64) as f32;
    });
    Prepared { kernel, name: "f64", scratch: n * size_of::<f64>(), prologue: None, in_place: None }
}

pub fn prepare_grad(op: &SoftmaxCrossEntropyGrad, io: &IoMeta) -> Prepared<Kernel> {
    let (n, classes) = (io.inputs[0].shape.rows(), io.inputs[0].shape.channels());
    let smoothing = f64::from(op.label_smoothing);
    plain("f64", move |io| {
        let (logits, label, factor) = (io.input::<f32>(0), io.input::<u32>(1), f64::from(io.number(2)) / n as f64);
        io.threads().for_chunks(io.output::<f32>(0), CHUNK * classes, |i, dx| {
            for (sample, dx) in (i * CHUNK..).zip(dx.chunks_exact_mut(classes)) {
                let (logits, label) = (&logits[sample * classes..][..classes], label[sample] as usize);
                let (largest, sum) = softmax_parts(logits);
                assert!(label < classes, "label {label} of {classes} classes");
                for (class, (dx, &x)) in dx.iter_mut().zip(logits).enumerate() {
                    let hit = if class == label { 1.0 - smoothing } else { 0.0 };
                    let target = hit + smoothing / classes as f64;
                    *dx = (factor * ((f64::from(x) - largest).exp() / sum - target)) as f32;
                }
            }
        });
    })
}

pub fn prepare_count(op: &CountCorrect, io: &IoMeta) -> Prepared<Kernel> {
    let (k, classes) = (op.k, io.inputs[0].shape.channels());
    plain("plain", move |io| {
        let (logits, label) = (io.input::<f32>(0), io.input::<u32>(1));
        let hits = logits.chunks_exact(classes).zip(label).filter(|(logits, label)| {
            let (label, own) = (**label as usize, logits[**label as usize]);
            // A NaN is never a hit.
            let larger = logits.iter().enumerate().filter(|&(i, &x)| x > own || (x == own && i < label));
            !own.is_nan() && larger.count() < k
        });
        io.output::<f32>(0)[0] = hits.count() as f32;
    })
}
