//! Matrix products, reductions and the classification loss.

use binary_nets_graph::ops::{CountCorrect, Matmul, Reduce, Reduction, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};

use super::Case;
use super::builder::{Builder, Fill};

pub fn cases() -> Vec<Case> {
    [products(), reductions(), losses()].concat()
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    for [m, k, n] in [[1, 1, 1], [3, 7, 5], [17, 65, 33], [1, 130, 10], [64, 9, 130]] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut b = Builder::new(format!("matmul/{m}x{k}x{n}/{transpose_a}/{transpose_b}"));
            let left = b.state(&if transpose_a { [k, m] } else { [m, k] }, Fill::Uniform(1.0));
            let right = b.state(&if transpose_b { [n, k] } else { [k, n] }, Fill::Uniform(1.0));
            let y = b.op(Matmul { transpose_a, transpose_b }, &[left, right]);
            cases.push(b.outputs(&[y]));
        }
    }
    cases
}

fn reductions() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(&[usize], &[&[usize]]); 3] = [
        (&[2, 3, 5, 7], &[&[0, 1, 2], &[3], &[1, 2], &[0, 3], &[0, 1, 2, 3], &[]]),
        (&[4, 130], &[&[0], &[1], &[0, 1]]),
        (&[3, 1031], &[&[0], &[1]]),
    ];
    for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Max] {
        for (shape, all_axes) in shapes {
            for axes in all_axes {
                for keep in [false, true] {
                    let mut b = Builder::new(format!("reduce/{reduction:?}/{shape:?}/{axes:?}/keep-{keep}"));
                    let x = b.state(shape, Fill::Uniform(4.0));
                    let y = b.op(Reduce { reduction, axes: axes.to_vec(), keep }, &[x]);
                    cases.push(b.outputs(&[y]));
                }
            }
        }
    }
    cases
}

fn losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, classes) in [(1, 2), (5, 10), (7, 130)] {
        for (fill, kind) in [(Fill::Uniform(2.0), "small"), (Fill::Uniform(64.0), "large"), (Fill::Offset, "offset")] {
            for label_smoothing in [0.0, 0.1, 1.0] {
                let mut b =
                    Builder::with_batch(format!("softmax_cross_entropy/{n}x{classes}/{kind}/{label_smoothing}"), n);
                let (logits, label) = (b.input(&[classes], fill), b.label(classes as u32));
                let dloss = b.scalar(0.75);
                let loss = b.op(SoftmaxCrossEntropy { label_smoothing }, &[logits, label]);
                let grad = b.op(SoftmaxCrossEntropyGrad { label_smoothing }, &[logits, label, dloss]);
                cases.push(b.outputs(&[loss, grad]));
            }
        }
        for k in [1, 2, 5, 200] {
            let mut b = Builder::with_batch(format!("count_correct/{n}x{classes}/top{k}"), n);
            let (logits, label) = (b.input(&[classes], Fill::Coarse), b.label(classes as u32));
            let hits = b.op(CountCorrect { k }, &[logits, label]);
            cases.push(b.outputs(&[hits]));
        }
    }
    cases
}
