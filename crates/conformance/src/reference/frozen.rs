//! The ops of frozen graphs, with the roundings that are part of their meaning.

use binary_nets_graph::Shape;
use binary_nets_graph::ops::{Affine, FoldAffine, FoldStem, FoldStep, ImageConv2d, Quantize};

use super::{binary::scale_of, conv2d, round};
use crate::Tensor;
use crate::tensor::positions;

/// a and c, computed in f64 and rounded once.
pub fn fold_affine(op: &FoldAffine, inputs: &[&Tensor]) -> Vec<Tensor> {
    let folded: Vec<(f64, f64)> = (0..op.channels).map(|o| folded(&op.steps, inputs, o, op.channels)).collect();
    let a = folded.iter().map(|&(a, _)| round(a)).collect();
    let c = folded.iter().map(|&(_, c)| round(c)).collect();
    vec![Tensor::new([op.channels], a), Tensor::new([op.channels], c)]
}

/// `(a, c)` of channel `o`: the steps are applied to 0, which leaves c, and their slopes multiplied.
fn folded(steps: &[FoldStep], inputs: &[&Tensor], o: usize, channels: usize) -> (f64, f64) {
    let mut inputs = inputs.iter();
    let mut next = || scale_of(inputs.next().expect("inputs for all steps"), o, channels);
    let (mut slope, mut zero) = (1.0, 0.0);
    for step in steps {
        match step {
            FoldStep::Scale => {
                let s = next();
                slope *= s;
                zero *= s;
            }
            FoldStep::Norm { eps } => {
                let [gamma, beta, mean, var] = [(); 4].map(|()| next());
                let r = gamma / (var + eps).sqrt();
                slope *= r;
                zero = r * (zero - mean) + beta;
            }
        }
    }
    (slope, zero)
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

/// `fl(fl(fl(a_p·fl(d_p)) − fl(a_n·fl(d_n))) + c)` in f32 arithmetic.
pub fn ternary_affine(inputs: &[&Tensor]) -> Tensor {
    let &[positive, negative, a_p, a_n, c] = inputs else { panic!("ternary_affine takes 5 inputs") };
    Tensor::from_fn(&positive.shape, |p| {
        let o = &p[p.len() - 1..];
        let above = a_p.at(o) as f32 * positive.at(p) as f32;
        let below = a_n.at(o) as f32 * negative.at(p) as f32;
        f64::from(above - below + c.at(o) as f32)
    })
}

/// q, a and c.
pub fn fold_stem(op: &FoldStem, inputs: &[&Tensor], shapes: &[&Shape]) -> Vec<Tensor> {
    let (w, constants) = (inputs[0], &inputs[1..]);
    let &[channels, image_channels, _, _] = &w.shape[..] else { panic!("weights of rank 4") };
    let output = op.border.window.output(op.border.input).expect("a window that fits, or the graph would not exist");
    let [rows, columns] =
        [0, 1].map(|axis| op.border.window.border_cases(axis, op.border.input[axis], output[axis]).taps);
    let v = Tensor::from_fn_rank(&w.shape, |[o, c, i, j]| w.at(&[o, c, i, j]) / (255.0 * op.std[c % op.std.len()]));
    let scales: Vec<f64> = v
        .data
        .chunks(w.data.len() / channels)
        .map(|v| v.iter().fold(0.0, |m: f64, v| m.max(v.abs())) / f64::from(op.largest))
        .collect();
    let q = Tensor::from_fn_rank(shapes[0], |[o, i, j, c]| {
        if scales[o] == 0.0 { 0.0 } else { (v.at(&[o, c, i, j]) / scales[o]).round_ties_even() }
    });
    let a = (0..channels).map(|o| round(folded(&op.steps, constants, o, channels).0 * scales[o])).collect();
    let c = Tensor::from_fn_rank(shapes[2], |[row, column, o]| {
        let (s, b) = folded(&op.steps, constants, o, channels);
        let mut sum = 0.0;
        for i in rows[row].clone() {
            for j in columns[column].clone() {
                for c in 0..image_channels {
                    sum += q.at(&[o, i, j, c]) * 255.0 * op.mean[c % op.mean.len()];
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

/// Bytes of floats, where NaN is 0; the product is rounded as f32 arithmetic does.
pub fn quantize(op: &Quantize, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn_rank(shape, |[n, i, j, c]| {
        let steps = f64::from(op.factor * x.at(&[n, i * op.stride[0], j * op.stride[1], c]) as f32);
        let byte = steps.round_ties_even() + f64::from(op.zero);
        if byte.is_nan() { 0.0 } else { byte.clamp(0.0, 255.0) }
    })
}

/// The nearest multiple of the distance between the 16-bit floats about a number; these have 11 bits, of which subnormals count in 2⁻²⁴.
pub fn half(x: f64) -> f64 {
    if x == 0.0 {
        return x;
    }
    let distance = 2f64.powf(x.abs().log2().floor().max(-14.0) - 10.0);
    let nearest = (x / distance).round_ties_even() * distance;
    if nearest.abs() > 65504.0 { f64::INFINITY.copysign(x) } else { nearest }
}

/// q and s.
pub fn quantize_weight(axis: usize, w: &Tensor, scales: &Shape) -> Vec<Tensor> {
    let mut s = Tensor::full(scales, 0.0);
    for p in positions(&w.shape) {
        let largest = s.at_mut(&[p[axis]]);
        let scale = round(w.at(&p).abs() / 127.0);
        *largest = if largest.is_nan() || scale.is_nan() { f64::NAN } else { largest.max(scale) };
    }
    let q = Tensor::from_fn(&w.shape, |p| match s.at(&[p[axis]]) {
        0.0 => 0.0,
        s => (w.at(p) / s).round_ties_even().clamp(-127.0, 127.0),
    });
    vec![q, s]
}

/// `fl(s·q)`.
pub fn dequantize(axis: usize, q: &Tensor, s: &Tensor) -> Tensor {
    Tensor::from_fn(&q.shape, |p| round(s.at(&[p[axis]]) * q.at(p)))
}
