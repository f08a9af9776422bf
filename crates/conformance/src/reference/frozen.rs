//! The ops of frozen graphs, with the roundings that are part of their meaning.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{Affine, FoldAffine, FoldStem, ImageConv2d};

use super::{binary::scale_of, conv2d, round};
use crate::Tensor;

/// a and c, computed in f64 and rounded once.
pub fn fold_affine(op: &FoldAffine, inputs: &[&Tensor]) -> Vec<Tensor> {
    let (alpha, norm) = if op.scale { (Some(inputs[0]), &inputs[1..]) } else { (None, inputs) };
    let shape = Shape::from([op.channels]);
    let mut a = Tensor::full(&shape, 1.0);
    let mut c = Tensor::full(&shape, 0.0);
    for o in 0..op.channels {
        let alpha = alpha.map_or(1.0, |alpha| scale_of(alpha, o, op.channels));
        let (s, b) = norm_affine(op.eps, norm, o);
        a.data[o] = round(s * alpha);
        c.data[o] = round(b);
    }
    vec![a, c]
}

/// `s = γ/√(var + ε)` and `b = β − s·mean` of channel `o`; 1 and 0 without a norm.
fn norm_affine(eps: Option<f64>, norm: &[&Tensor], o: usize) -> (f64, f64) {
    match (eps, norm) {
        (Some(eps), [gamma, beta, mean, var]) => {
            let s = gamma.data[o] / (var.data[o] + eps).sqrt();
            (s, beta.data[o] - s * mean.data[o])
        }
        _ => (1.0, 0.0),
    }
}

/// `fl(fl(a·fl(x)) + c)` in f32 arithmetic.
pub fn affine(op: &Affine, x: &Tensor, a: &Tensor, c: &Tensor) -> Tensor {
    let cases = op.border.map(|border| {
        [0, 1].map(|axis| border.window.border_cases(axis, border.input[axis], x.shape[axis + 1]).of_output)
    });
    Tensor::from_fn(&x.shape, |p| {
        let o = p[p.len() - 1];
        let c = match &cases {
            None => c.at(&[o]),
            Some([rows, columns]) => c.at(&[rows[p[1]], columns[p[2]], o]),
        };
        let product = a.at(&[o]) as f32 * x.at(p) as f32;
        f64::from(product + c as f32)
    })
}

/// q, a and c.
pub fn fold_stem(op: &FoldStem, inputs: &[&Tensor], shapes: &[&Shape]) -> Vec<Tensor> {
    let (w, norm) = (inputs[0], &inputs[1..]);
    let &[channels, image_channels, kh, kw] = &w.shape[..] else { panic!("weights of rank 4") };
    let output = op.border.window.output(op.border.input).expect("a window that fits, or the graph would not exist");
    let [rows, columns] =
        [0, 1].map(|axis| op.border.window.border_cases(axis, op.border.input[axis], output[axis]).taps);
    let v = Tensor::from_fn_rank(&w.shape, |[o, c, i, j]| w.at(&[o, c, i, j]) / (255.0 * op.std[c]));
    let scales: Vec<f64> = v
        .data
        .chunks(image_channels * kh * kw)
        .map(|v| v.iter().fold(0.0, |m: f64, v| m.max(v.abs())) / 32767.0)
        .collect();
    let q = Tensor::from_fn_rank(shapes[0], |[o, i, j, c]| {
        if scales[o] == 0.0 { 0.0 } else { (v.at(&[o, c, i, j]) / scales[o]).round_ties_even() }
    });
    let a = (0..channels).map(|o| round(norm_affine(op.eps, norm, o).0 * scales[o])).collect();
    let c = Tensor::from_fn_rank(shapes[2], |[row, column, o]| {
        let (s, b) = norm_affine(op.eps, norm, o);
        let mut sum = 0.0;
        for i in (0..kh).filter(|&i| rows[row][i]) {
            for j in (0..kw).filter(|&j| columns[column][j]) {
                for c in 0..image_channels {
                    sum += q.at(&[o, i, j, c]) * 255.0 * op.mean[c];
                }
            }
        }
        round(b - s * scales[o] * sum)
    });
    vec![q, Tensor::new([channels], a), c]
}

/// Exact: every partial sum is an integer below 2⁵³.
pub fn image_conv2d(op: &ImageConv2d, image: &Tensor, q: &Tensor, shape: &Shape) -> Tensor {
    let &[o, kh, kw, c] = &q.shape[..] else { panic!("weights of rank 4") };
    let w = Tensor::from_fn_rank(&[o, c, kh, kw].into(), |[o, c, i, j]| q.at(&[o, i, j, c]));
    conv2d::forward(&op.border.window, image, &w, 0.0, shape)
}
