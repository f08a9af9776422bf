//! Elements in other places.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{Concat, Gather, PadAxis, Repeat, Scatter, Slice, Transpose};

use crate::Tensor;

/// Coordinates with one of them replaced.
fn with(p: &[usize], axis: usize, coordinate: usize) -> Vec<usize> {
    let mut p = p.to_vec();
    p[axis] = coordinate;
    p
}

/// Coordinates without those of one axis.
fn without(p: &[usize], axis: usize) -> Vec<usize> {
    let mut p = p.to_vec();
    p.remove(axis);
    p
}

pub fn transpose(op: &Transpose, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let mut from = vec![0; p.len()];
        for (to, &axis) in op.permutation.iter().enumerate() {
            from[axis] = p[to];
        }
        x.at(&from)
    })
}

pub fn slice(op: &Slice, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| x.at(&with(p, op.axis, p[op.axis] + op.start)))
}

pub fn pad_axis(op: &PadAxis, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| match p[op.axis].checked_sub(op.before) {
        Some(i) if i < x.shape[op.axis] => x.at(&with(p, op.axis, i)),
        _ => 0.0,
    })
}

pub fn concat(op: &Concat, parts: &[&Tensor], shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let mut i = p[op.axis];
        for part in parts {
            if i < part.shape[op.axis] {
                return part.at(&with(p, op.axis, i));
            }
            i -= part.shape[op.axis];
        }
        panic!("the parts fill the axis")
    })
}

pub fn repeat(op: &Repeat, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| x.at(&with(p, op.axis, p[op.axis] % x.shape[op.axis])))
}

pub fn gather(op: &Gather, x: &Tensor, index: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let mut from = p.to_vec();
        from.insert(op.axis, index.at(p) as usize);
        x.at(&from)
    })
}

pub fn one_hot(label: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let (class, at) = p.split_last().expect("an axis of classes");
        f64::from(u8::from(label.at(at) == *class as f64))
    })
}

pub fn scatter(op: &Scatter, index: &Tensor, dy: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |p| {
        let at = without(p, op.axis);
        if index.at(&at) == p[op.axis] as f64 { dy.at(&at) } else { 0.0 }
    })
}
