//! Convolutions and matrix products, against chains of fused multiply-adds and exact sums.

use binary_nets_bits::Codes;
use binary_nets_conformance::suite::Values;
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, Border, Conv2d, ImageConv2d, Matmul, StateKind, TernaryConv2d, WeightGradient,
    WeightScale,
};
use binary_nets_graph::{Meaning, Value, Window};

use crate::case::{Case, Shape, shapes};

/// `start + Σ x·w` over the taps inside the image, ascending (kh, kw, c), by `add`; x `[n, h, w, c]`, weights at `w(o, kh, kw, c)`.
fn chains<X: Copy, W, Y: Copy>(
    (batch, size, [c, o], groups, window): Shape,
    x: &[X],
    w: impl Fn(usize, [usize; 2], usize) -> W,
    start: Y,
    add: impl Fn(Y, X, W) -> Y,
) -> Vec<Y> {
    let [height, width] = window.output(size).unwrap();
    let mut y = Vec::new();
    for n in 0..batch {
        for i in 0..height {
            for j in 0..width {
                for output in 0..o {
                    let mut sum = start;
                    for kh in 0..window.kernel[0] {
                        for kw in 0..window.kernel[1] {
                            let pixel = (window.source(0, size[0], i, kh), window.source(1, size[1], j, kw));
                            let (Some(row), Some(column)) = pixel else { continue };
                            for k in 0..c / groups {
                                let channel = output / (o / groups) * (c / groups) + k;
                                let x = x[((n * size[0] + row) * size[1] + column) * c + channel];
                                sum = add(sum, x, w(output, [kh, kw], k));
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

#[test]
fn a_convolution_is_a_chain_of_fused_multiply_adds() {
    for shape in shapes() {
        for kind in [StateKind::Parameter, StateKind::Constant] {
            let (batch, size, [c, o], groups, window) = shape;
            let mut case = Case::new(&format!("conv2d {shape:?}"), batch);
            let x = case.input("x", Meaning::F32, &[size[0], size[1], c]);
            let [kh, kw] = window.kernel;
            let w = case.state("w", Meaning::F32, kind, &[o, c / groups, kh, kw]);
            case.op(Conv2d { window, groups }, &[x, w]);
            let w = case.floats("w");
            let at = |o: usize, [i, j]: [usize; 2], k: usize| w[((o * (c / groups) + k) * kh + i) * kw + j];
            let expected = chains(shape, case.floats("x"), at, 0.0f32, |sum, x, w| x.mul_add(w, sum));
            assert!(case.outputs().outputs["y"] == Values::F32(expected), "{}", case.name);
        }
    }
}

#[test]
fn a_matrix_product_is_a_chain_of_fused_multiply_adds() {
    for (m, n, k) in [(1, 1, 1), (50, 10, 70), (7, 130, 600), (100, 3, 33)] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            for kind in [StateKind::Parameter, StateKind::Constant] {
                let mut case = Case::new(&format!("matmul {m}x{n}x{k} {transpose_a} {transpose_b}"), 1);
                let a = if transpose_a { [k, m] } else { [m, k] };
                let b = if transpose_b { [n, k] } else { [k, n] };
                let a = case.state("a", Meaning::F32, StateKind::Parameter, &a);
                let b = case.state("b", Meaning::F32, kind, &b);
                case.op(Matmul { transpose_a, transpose_b }, &[a, b]);
                let (a, b) = (case.floats("a"), case.floats("b"));
                let a = |i: usize, p: usize| if transpose_a { a[p * m + i] } else { a[i * k + p] };
                let b = |p: usize, j: usize| if transpose_b { b[j * k + p] } else { b[p * n + j] };
                let chain = |i, j| (0..k).fold(0.0f32, |sum, p| a(i, p).mul_add(b(p, j), sum));
                let expected = (0..m * n).map(|at| chain(at / n, at % n)).collect();
                assert!(case.outputs().outputs["y"] == Values::F32(expected), "{}", case.name);
            }
        }
    }
}

/// With 576 products, sums do not fit into 32 bits.
#[test]
fn a_convolution_of_pixels_is_exact() {
    let mut shapes: Vec<Shape> = shapes().into_iter().filter(|shape| shape.3 == 1).collect();
    shapes.push((1, [11, 10], [64, 5], 1, Window::square(3, 1, 1)));
    for shape in shapes {
        for kind in [StateKind::Parameter, StateKind::Constant] {
            let (batch, size, [c, o], _, window) = shape;
            let mut case = Case::new(&format!("image_conv2d {shape:?}"), batch);
            let image = case.input("image", Meaning::Int { min: 0, max: 255 }, &[size[0], size[1], c]);
            let [kh, kw] = window.kernel;
            let q = case.state("q", Meaning::Int { min: -32767, max: 32767 }, kind, &[o, kh, kw, c]);
            case.op(ImageConv2d { border: Border { window, input: size } }, &[image, q]);
            let q = case.integers("q");
            let at = |o: usize, [i, j]: [usize; 2], k: usize| q[((o * kh + i) * kw + j) * c + k];
            let expected = chains(shape, case.integers("image"), at, 0, |sum: i64, x, q| sum + x * q);
            assert!(case.outputs().outputs["y"] == Values::I64(expected), "{}", case.name);
        }
    }
}

/// All pixels 255, all weights of one sign: the largest sums.
#[test]
fn the_largest_sums_of_pixels_are_exact() {
    for (channels, sign) in [(257, 1), (257, -1), (512, 1), (1100, -1)] {
        let mut case = Case::new("image_conv2d at its bound", 1);
        let image = case.input("image", Meaning::Int { min: 0, max: 255 }, &[1, 1, channels]);
        let weights = Meaning::Int { min: -32767, max: 32767 };
        let q = case.state("q", weights, StateKind::Parameter, &[1, 1, 1, channels]);
        case.op(ImageConv2d { border: Border { window: Window::square(1, 1, 0), input: [1, 1] } }, &[image, q]);
        case.inputs.tensors.insert("image".to_owned(), Values::I64(vec![255; channels]));
        case.inputs.tensors.insert("q".to_owned(), Values::I64(vec![sign * 32767; channels]));
        let expected = sign * 32767 * 255 * channels as i64;
        assert_eq!(case.outputs().outputs["y"], Values::I64(vec![expected]), "{channels} channels");
    }
}

/// `Σ x·w` of codes, with a number around the image; weights `[o, kh, kw, c/groups]`.
fn sums_of_codes((batch, size, [c, o], groups, window): Shape, x: &[i8], w: &[i8], pad_value: u8) -> Vec<i64> {
    // The image in a frame of the padding.
    let [high, wide] = [0, 1].map(|axis| size[axis] + 2 * window.padding[axis]);
    let mut framed = vec![pad_value as i8; batch * high * wide * c];
    for (i, &code) in x.iter().enumerate() {
        let (pixel, channel) = (i / c, i % c);
        let (row, column) = (pixel / size[1] % size[0] + window.padding[0], pixel % size[1] + window.padding[1]);
        framed[((pixel / (size[0] * size[1]) * high + row) * wide + column) * c + channel] = code;
    }
    let [kh, kw] = window.kernel;
    let at = |o: usize, [i, j]: [usize; 2], k: usize| w[((o * kh + i) * kw + j) * (c / groups) + k];
    let shape = (batch, [high, wide], [c, o], groups, Window { padding: [0; 2], ..window });
    chains(shape, &framed, at, 0, |sum: i64, x, w| sum + i64::from(x * w))
}

#[test]
fn ternary_convolutions_are_exact() {
    for shape in shapes() {
        for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Sign, 1), (Codes::Step, 0), (Codes::Step, 1)] {
            let (batch, size, [c, o], groups, window) = shape;
            let [kh, kw] = window.kernel;
            for (scaled, kind) in [(false, StateKind::Constant), (true, StateKind::Parameter)] {
                let mut case =
                    Case::new(&format!("ternary_conv2d {codes:?} pad {pad_value} {scaled} {shape:?}"), batch);
                let x = case.input("x", Meaning::Bit { codes, groups }, &[size[0], size[1], c]);
                let planes =
                    ["p", "n"].map(|name| case.state(name, Meaning::bits(Codes::Step), kind, &[o, kh, kw, c / groups]));
                let values = ["w_p", "w_n"].map(|name| case.state(name, Meaning::F32, kind, &[1]));
                let inputs = [x, planes[0], planes[1], values[0], values[1]];
                case.op(TernaryConv2d { window, pad_value }, &inputs[..if scaled { 5 } else { 3 }]);

                let codes_of = |name: &str| match &case.inputs.tensors[name] {
                    Values::Codes(codes) => codes.as_slice(),
                    other => panic!("{other:?} are no codes"),
                };
                let [p, n] = ["p", "n"].map(|plane| sums_of_codes(shape, codes_of("x"), codes_of(plane), pad_value));
                let outputs = case.outputs().outputs;
                if scaled {
                    let [w_p, w_n] = ["w_p", "w_n"].map(|name| case.floats(name)[0]);
                    let expected = p.iter().zip(&n).map(|(&p, &n)| w_p * p as f32 - w_n * n as f32).collect();
                    assert!(outputs["y"] == Values::F32(expected), "{}", case.name);
                } else {
                    assert!(outputs["y"] == Values::I64(p) && outputs["z"] == Values::I64(n), "{}", case.name);
                }
            }
        }
    }
}

#[test]
fn binary_convolutions_are_exact() {
    for shape in shapes() {
        for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Sign, 1), (Codes::Step, 0), (Codes::Step, 1)] {
            let (batch, size, [c, o], groups, window) = shape;
            let [kh, kw] = window.kernel;
            // Integers, then one α each for the tensor, the groups and the channels.
            for scales in [0, 1, groups, o] {
                let kind = if scales == 1 { StateKind::Constant } else { StateKind::Parameter };
                let mut case =
                    Case::new(&format!("binary_conv2d {codes:?} pad {pad_value} α {scales} {shape:?}"), batch);
                let x = case.input("x", Meaning::Bit { codes, groups }, &[size[0], size[1], c]);
                let w = case.state("w", Meaning::bits(Codes::Sign), kind, &[o, kh, kw, c / groups]);
                let alpha = (scales > 0).then(|| case.state("alpha", Meaning::F32, kind, &[scales.max(1)]));
                let inputs: Vec<Value> = [x, w].into_iter().chain(alpha).collect();
                case.op(BinaryConv2d { window, pad_value }, &inputs);

                let (Values::Codes(x), Values::Codes(w)) = (&case.inputs.tensors["x"], &case.inputs.tensors["w"])
                else {
                    panic!("codes")
                };
                let dots = sums_of_codes(shape, x, w, pad_value);
                let expected = if scales == 0 {
                    Values::I64(dots)
                } else {
                    let alpha = case.floats("alpha");
                    let scaled = |(i, &d): (usize, &i64)| alpha[i % o * alpha.len() / o] * d as f32;
                    Values::F32(dots.iter().enumerate().map(scaled).collect())
                };
                assert!(case.outputs().outputs["y"] == expected, "{}", case.name);
            }
        }
    }
}

#[test]
fn scales_are_means_rounded_once() {
    for (scale, parts) in [(WeightScale::Tensor, 1), (WeightScale::Group, 2), (WeightScale::Channel, 18)] {
        let mut case = Case::new(&format!("binarize_weight {scale:?}"), 1);
        let w = case.state("w", Meaning::F32, StateKind::Latent, &[18, 65, 3, 3]);
        case.op(BinarizeWeight { scale, gradient: WeightGradient::Clip, groups: 2 }, &[w]);
        let w = case.floats("w");
        let size = w.len() / parts;
        let mean = |part: &[f32]| (part.iter().map(|w| f64::from(w.abs())).sum::<f64>() / size as f64) as f32;
        assert!(case.outputs().outputs["z"] == Values::F32(w.chunks(size).map(mean).collect()), "{}", case.name);
    }
}
