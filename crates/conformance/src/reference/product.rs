//! Sums: matrix products and reductions over axes.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{Matmul, Reduce, Reduction};

use crate::Tensor;
use crate::tensor::positions;

pub fn matmul(op: &Matmul, a: &Tensor, b: &Tensor, shape: &Shape) -> Tensor {
    let inner = if op.transpose_a { a.shape[0] } else { a.shape[1] };
    let left = |m: usize, k: usize| if op.transpose_a { a.at(&[k, m]) } else { a.at(&[m, k]) };
    let right = |k: usize, n: usize| if op.transpose_b { b.at(&[n, k]) } else { b.at(&[k, n]) };
    Tensor::from_fn_rank(shape, |[m, n]| (0..inner).map(|k| left(m, k) * right(k, n)).sum())
}

pub fn reduce(op: &Reduce, x: &Tensor, shape: &Shape) -> Tensor {
    let count: usize = op.axes.iter().map(|&axis| x.shape[axis]).product();
    let start = match op.reduction {
        Reduction::Sum | Reduction::Mean => 0.0,
        Reduction::Max => f64::NEG_INFINITY,
    };
    let mut y = Tensor::full(shape, start);
    for p in positions(&x.shape) {
        let at: Vec<usize> = (0..p.len())
            .filter_map(|axis| match (op.axes.contains(&axis), op.keep) {
                (false, _) => Some(p[axis]),
                (true, true) => Some(0),
                (true, false) => None,
            })
            .collect();
        let y = y.at_mut(&at);
        *y = match op.reduction {
            Reduction::Sum => *y + x.at(&p),
            Reduction::Mean => *y + x.at(&p) / count as f64,
            Reduction::Max => y.max(x.at(&p)),
        };
    }
    y
}
