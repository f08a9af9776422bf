//! Gradients of convolutions, against sums in f64 over all products.

use binary_nets_bits::Codes;
use binary_nets_conformance::suite::Values;
use binary_nets_graph::ops::{
    BinaryConv2dGradInput, BinaryConv2dGradWeight, Conv2dGradInput, Conv2dGradWeight, MaxPool2dGrad, StateKind,
    StochasticRounding, TernaryConv2dGradInput,
};
use binary_nets_graph::{Meaning, Window};
use binary_nets_kernels::Isa;

use crate::case::{Case, Shape, shapes};

/// |error| ≤ n·eps·Σ|terms|: n rounded additions, each of a partial sum that Σ|terms| bounds.
fn close(got: &Values, expected: &[f64], magnitude: &[f64], terms: usize, name: &str) {
    let Values::F32(got) = got else { panic!("floats") };
    for (i, ((&got, expected), magnitude)) in got.iter().zip(expected).zip(magnitude).enumerate() {
        let bound = terms as f64 * f64::from(f32::EPSILON) * magnitude;
        assert!((f64::from(got) - expected).abs() <= bound, "{name}, element {i}: {got} for {expected}");
    }
}

/// Sums over all products of a convolution, and the sums of their magnitudes: of dx `[n, h, w, c]` and of dw `[o, c/groups, kh, kw]`.
struct Sums {
    dx: [Vec<f64>; 2],
    dw: [Vec<f64>; 2],
}

/// Scattered from every product of the forward convolution with dy; `outside` stands around x.
fn gradient_sums(
    (batch, input, [c, o], groups, window): Shape,
    x: &[f64],
    w: &[f64],
    dy: &[f32],
    outside: f64,
) -> Sums {
    let ([h, wide], [kh, kw]) = (window.output(input).unwrap(), window.kernel);
    let per_group = c / groups;
    let mut dx = [(); 2].map(|()| vec![0.0; batch * input[0] * input[1] * c]);
    let mut dw = [(); 2].map(|()| vec![0.0; o * per_group * kh * kw]);
    for (y, &dy) in dy.iter().enumerate() {
        let (output, column, row, image) = (y % o, y / o % wide, y / o / wide % h, y / o / wide / h);
        for weight in 0..per_group * kh * kw {
            let (k, i, j) = (weight / (kh * kw), weight / kw % kh, weight % kw);
            let source = (window.source(0, input[0], row, i), window.source(1, input[1], column, j));
            let weight = output * per_group * kh * kw + weight;
            let mut value = outside;
            if let (Some(row), Some(column)) = source {
                let at = ((image * input[0] + row) * input[1] + column) * c + output / (o / groups) * per_group + k;
                let term = f64::from(dy) * w[weight];
                dx[0][at] += term;
                dx[1][at] += term.abs();
                value = x[at];
            }
            let term = f64::from(dy) * value;
            dw[0][weight] += term;
            dw[1][weight] += term.abs();
        }
    }
    Sums { dx, dw }
}

fn numbers(values: &Values) -> Vec<f64> {
    match values {
        Values::F32(x) => x.iter().map(|&x| f64::from(x)).collect(),
        Values::Codes(x) => x.iter().map(|&x| f64::from(x)).collect(),
        Values::I64(x) => x.iter().map(|&x| x as f64).collect(),
    }
}

/// `[o, kh, kw, c]` as `[o, c, kh, kw]`.
fn latent_order(w: &[f64], taps: usize, channels: usize) -> Vec<f64> {
    let of_output = |w: &[f64]| (0..channels * taps).map(|i| w[i % taps * channels + i / taps]).collect::<Vec<_>>();
    w.chunks_exact(taps * channels).flat_map(of_output).collect()
}

/// Shapes of gradients: those of the forward convolutions; more pixels than are summed at a time, or than have their tables at a time; images of even height under a stride, and
/// taps so far apart that pieces of an image lie beyond dy.
fn gradient_shapes() -> Vec<Shape> {
    let more = [
        (10, [40, 40], [3, 4], 1, Window::square(3, 1, 1)),
        (9, [40, 40], [3, 4], 1, Window::square(3, 1, 1)),
        (2, [30, 31], [3, 64], 1, Window::square(3, 1, 1)),
        (2, [61, 60], [2, 64], 1, Window::square(3, 2, 1)),
        (1, [16, 12], [20, 17], 1, Window::square(3, 2, 1)),
        (1, [40, 40], [64, 3], 1, Window { dilation: [40; 2], ..Window::square(2, 4, 2) }),
    ];
    shapes().into_iter().chain(more).collect()
}

#[test]
fn gradients_agree_with_f64_everywhere() {
    for shape in gradient_shapes() {
        let (batch, input, [c, o], groups, window) = shape;
        let ([h, w], [kh, kw]) = (window.output(input).unwrap(), window.kernel);
        let per_group = c / groups;

        let mut dx = Case::new(&format!("conv2d_grad_input {shape:?}"), batch);
        let dy = dx.input("dy", Meaning::F32, &[h, w, o]);
        let weight = dx.state("w", Meaning::F32, StateKind::Parameter, &[o, per_group, kh, kw]);
        dx.op(Conv2dGradInput { window, groups, input }, &[dy, weight]);

        let mut dw = Case::new(&format!("conv2d_grad_weight {shape:?}"), batch);
        let x = dw.input("x", Meaning::F32, &[input[0], input[1], c]);
        let dy = dw.input("dy", Meaning::F32, &[h, w, o]);
        dw.op(Conv2dGradWeight { window, groups }, &[x, dy]);

        let (x, weight) = (numbers(&dw.inputs.tensors["x"]), numbers(&dx.inputs.tensors["w"]));
        let sums = gradient_sums(shape, &x, &weight, dx.floats("dy"), 0.0).dx;
        close(&dx.outputs().outputs["y"], &sums[0], &sums[1], o / groups * kh * kw, &dx.name);
        let sums = gradient_sums(shape, &x, &weight, dw.floats("dy"), 0.0).dw;
        close(&dw.outputs().outputs["y"], &sums[0], &sums[1], batch * h * w, &dw.name);
    }
}

#[test]
fn gradients_of_binary_and_ternary_convolutions_agree_with_f64_everywhere() {
    for shape in gradient_shapes() {
        let (batch, input, [c, o], groups, window) = shape;
        let ([h, w], [kh, kw]) = (window.output(input).unwrap(), window.kernel);
        let (taps, per_group) = (kh * kw, c / groups);

        for (scales, kind) in [(1, StateKind::Constant), (groups, StateKind::Parameter), (o, StateKind::Parameter)] {
            let mut case = Case::new(&format!("binary_conv2d_grad_input α {scales} {shape:?}"), batch);
            let dy = case.input("dy", Meaning::F32, &[h, w, o]);
            let weight = case.state("w", Meaning::bits(Codes::Sign), kind, &[o, kh, kw, per_group]);
            let alpha = case.state("alpha", Meaning::F32, kind, &[scales]);
            case.op(
                BinaryConv2dGradInput { window, groups, input, rounding: None, unpool: None },
                &[dy, weight, alpha],
            );
            let weight = latent_order(&numbers(&case.inputs.tensors["w"]), taps, per_group);
            let alpha = case.floats("alpha");
            let of_output = |i: usize| f64::from(alpha[i / (taps * per_group) * scales / o]);
            let weight: Vec<f64> = weight.iter().enumerate().map(|(i, w)| w * of_output(i)).collect();
            let x = vec![0.0; batch * input[0] * input[1] * c];
            let sums = gradient_sums(shape, &x, &weight, case.floats("dy"), 0.0).dx;
            close(&case.outputs().outputs["y"], &sums[0], &sums[1], o / groups * taps + 4, &case.name);
        }

        let mut case = Case::new(&format!("ternary_conv2d_grad_input {shape:?}"), batch);
        let dy = case.input("dy", Meaning::F32, &[h, w, o]);
        let planes = ["p", "n"]
            .map(|name| case.state(name, Meaning::bits(Codes::Step), StateKind::Parameter, &[o, kh, kw, per_group]));
        let values = ["w_p", "w_n"].map(|name| case.state(name, Meaning::F32, StateKind::Parameter, &[1]));
        let inputs = [dy, planes[0], planes[1], values[0], values[1]];
        case.op(TernaryConv2dGradInput { window, groups, input, rounding: None }, &inputs);
        let plane = |name: &str| latent_order(&numbers(&case.inputs.tensors[name]), taps, per_group);
        let [w_p, w_n] = ["w_p", "w_n"].map(|name| f64::from(case.floats(name)[0]));
        let weight: Vec<f64> = plane("p").iter().zip(plane("n")).map(|(p, n)| w_p * p - w_n * n).collect();
        let x = vec![0.0; batch * input[0] * input[1] * c];
        let sums = gradient_sums(shape, &x, &weight, case.floats("dy"), 0.0).dx;
        // Where both planes have a bit, what they add may cancel.
        let magnitude: Vec<f64> =
            plane("p").iter().zip(plane("n")).map(|(p, n)| (w_p * p).abs() + (w_n * n).abs()).collect();
        let magnitudes = gradient_sums(shape, &x, &magnitude, case.floats("dy"), 0.0).dx;
        close(&case.outputs().outputs["y"], &sums[0], &magnitudes[1], 2 * o / groups * taps + 4, &case.name);

        for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Sign, 1), (Codes::Step, 0), (Codes::Step, 1)] {
            let mut case = Case::new(&format!("binary_conv2d_grad_weight {codes:?} pad {pad_value} {shape:?}"), batch);
            let x = case.input("x", Meaning::Bit { codes, groups }, &[input[0], input[1], c]);
            let dy = case.input("dy", Meaning::F32, &[h, w, o]);
            case.op(BinaryConv2dGradWeight { window, pad_value, rounding: None, unpool: None }, &[x, dy]);
            let x = numbers(&case.inputs.tensors["x"]);
            let weight = vec![0.0; o * per_group * taps];
            let sums = gradient_sums(shape, &x, &weight, case.floats("dy"), f64::from(pad_value)).dw;
            // ±1 with 0 around it counts a pixel outside as 1 and takes it away again.
            let magnitudes = gradient_sums(shape, &x, &weight, case.floats("dy"), 1.0).dw;
            close(&case.outputs().outputs["y"], &sums[0], &magnitudes[1], 2 * batch * h * w, &case.name);
        }
    }
}

/// Sums of whole numbers are exact, whoever makes them and in whatever order.
#[test]
fn rounded_gradients_are_the_same_everywhere() {
    let rounding = Some(StochasticRounding { stream: 3 });
    for shape in gradient_shapes() {
        let (batch, input, [c, o], groups, window) = shape;
        let ([h, w], [kh, kw]) = (window.output(input).unwrap(), window.kernel);
        let (bits, planes, kind) = (Meaning::bits(Codes::Sign), Meaning::bits(Codes::Step), StateKind::Parameter);

        let mut case = Case::new(&format!("rounded binary_conv2d_grad_input {shape:?}"), batch);
        let dy = case.input("dy", Meaning::F32, &[h, w, o]);
        let weight = case.state("w", bits, kind, &[o, kh, kw, c / groups]);
        let alpha = case.state("alpha", Meaning::F32, kind, &[o]);
        case.op(BinaryConv2dGradInput { window, groups, input, rounding, unpool: None }, &[dy, weight, alpha]);
        case.outputs();

        let mut case = Case::new(&format!("rounded ternary_conv2d_grad_input {shape:?}"), batch);
        let dy = case.input("dy", Meaning::F32, &[h, w, o]);
        let planes = ["p", "n"].map(|name| case.state(name, planes, kind, &[o, kh, kw, c / groups]));
        let values = ["w_p", "w_n"].map(|name| case.state(name, Meaning::F32, kind, &[1]));
        let inputs = [dy, planes[0], planes[1], values[0], values[1]];
        case.op(TernaryConv2dGradInput { window, groups, input, rounding }, &inputs);
        case.outputs();

        for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Step, 1)] {
            let mut case = Case::new(&format!("rounded binary_conv2d_grad_weight {codes:?} {shape:?}"), batch);
            let x = case.input("x", Meaning::Bit { codes, groups }, &[input[0], input[1], c]);
            let dy = case.input("dy", Meaning::F32, &[h, w, o]);
            case.op(BinaryConv2dGradWeight { window, pad_value, rounding, unpool: None }, &[x, dy]);
            case.outputs();
        }
    }
}

/// Whole numbers are rounded to themselves, so the gradients are sums of whole numbers, in floats or not.
#[test]
fn whole_gradients_behind_pools_are_exact() {
    let outside = [
        // The first column of dy that is read lies in the second window of the pool, and not at its start.
        (2, [9, 8], [4, 40], 2, Window::square(1, 1, 3)),
        // Pieces lie beyond the last window of the pool.
        (1, [5, 5], [64, 8], 1, Window::square(1, 1, 0)),
        (1, [7, 7], [64, 8], 1, Window::square(2, 2, 0)),
        (2, [9, 9], [64, 8], 1, Window::square(3, 2, 1)),
        (4, [7, 7], [64, 8], 1, Window::square(3, 1, 1)),
    ];
    let mut cases = 0;
    for (shape, rounding) in gradient_shapes()
        .into_iter()
        .chain(outside)
        .flat_map(|shape| [None, Some(StochasticRounding { stream: 3 })].map(|rounding| (shape, rounding)))
    {
        let (batch, input, [c, o], groups, window) = shape;
        let ([h, w], [kh, kw]) = (window.output(input).unwrap(), window.kernel);
        for [rows, columns] in [[2, 2], [1, 3], [3, 3], [4, 4]] {
            let pool = Window { kernel: [rows, columns], stride: [rows, columns], padding: [0; 2], dilation: [1; 2] };
            let Ok([pooled_h, pooled_w]) = pool.output([h, w]) else { continue };
            cases += 1;
            let unpool = || Some(MaxPool2dGrad { window: pool, input: [h, w] });
            let name = format!("behind {rows}×{columns}, rounded {}, {shape:?}", rounding.is_some());
            // The gradient of the pool, its index, and the dy that they stand for; with 127 the largest and a factor of 1 the unit of that is 1.
            let gradient = |case: &mut Case| {
                let dy = case.input("dy", Meaning::F32, &[pooled_h, pooled_w, o]);
                let classes = (rows * columns) as u32;
                let index = case.input("index", Meaning::Index { classes }, &[pooled_h, pooled_w, o]);
                let mut pooled: Vec<f32> = case.floats("dy").iter().map(|dy| (dy * 1000.0).round() % 127.0).collect();
                pooled[0] = 127.0;
                let mut whole = vec![0.0; batch * h * w * o];
                for (at, (&number, &tap)) in pooled.iter().zip(case.integers("index")).enumerate() {
                    let (channel, pixel, tap) = (at % o, at / o, tap as usize);
                    let (image, i, j) = (pixel / (pooled_h * pooled_w), pixel / pooled_w % pooled_h, pixel % pooled_w);
                    let (row, column) = (i * rows + tap / columns, j * columns + tap % columns);
                    whole[((image * h + row) * w + column) * o + channel] = number;
                }
                case.inputs.tensors.insert("dy".to_owned(), Values::F32(pooled));
                ([dy, index], whole)
            };

            let mut case = Case::new(&format!("dx {name}"), batch);
            let ([dy, index], whole) = gradient(&mut case);
            let weight = case.state("w", Meaning::bits(Codes::Sign), StateKind::Parameter, &[o, kh, kw, c / groups]);
            let alpha = case.state("alpha", Meaning::F32, StateKind::Parameter, &[1]);
            case.op(
                BinaryConv2dGradInput { window, groups, input, rounding, unpool: unpool() },
                &[dy, weight, alpha, index],
            );
            case.inputs.tensors.insert("alpha".to_owned(), Values::F32(vec![1.0]));
            let weight = latent_order(&numbers(&case.inputs.tensors["w"]), kh * kw, c / groups);
            let x = vec![0.0; batch * input[0] * input[1] * c];
            let expected = gradient_sums(shape, &x, &weight, &whole, 0.0).dx[0].iter().map(|&dx| dx as f32).collect();
            assert!(case.outputs().outputs["y"] == Values::F32(expected), "{}", case.name);

            for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Step, 1)] {
                let mut case = Case::new(&format!("dw of {codes:?} {name}"), batch);
                let ([dy, index], whole) = gradient(&mut case);
                let bits = case.input("x", Meaning::Bit { codes, groups }, &[input[0], input[1], c]);
                case.op(BinaryConv2dGradWeight { window, pad_value, rounding, unpool: unpool() }, &[bits, dy, index]);
                let x = numbers(&case.inputs.tensors["x"]);
                let weight = vec![0.0; o * c / groups * kh * kw];
                let sums = gradient_sums(shape, &x, &weight, &whole, f64::from(pad_value));
                let expected = sums.dw[0].iter().map(|&dw| dw as f32).collect();
                assert!(case.outputs().outputs["y"] == Values::F32(expected), "{}", case.name);
            }
        }
    }
    // All but those that are larger than y.
    assert!(cases >= 80, "{cases} cases");
}

#[test]
fn rounded_gradients_that_are_not_finite_leave_no_number_behind() {
    let (batch, input, [c, o], groups, window) = (3, [6, 5], [7, 40], 1, Window::square(3, 1, 1));
    let rounding = Some(StochasticRounding { stream: 5 });
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let spoil = |case: &mut Case| {
            let mut dy = case.floats("dy").to_vec();
            dy[37] = bad;
            case.inputs.tensors.insert("dy".to_owned(), Values::F32(dy));
        };
        let mut dx = Case::new(&format!("dx of {bad}"), batch);
        let dy = dx.input("dy", Meaning::F32, &[input[0], input[1], o]);
        let weight = dx.state("w", Meaning::bits(Codes::Sign), StateKind::Parameter, &[o, 3, 3, c]);
        let alpha = dx.state("alpha", Meaning::F32, StateKind::Parameter, &[1]);
        dx.op(BinaryConv2dGradInput { window, groups, input, rounding, unpool: None }, &[dy, weight, alpha]);
        let mut dw = Case::new(&format!("dw of {bad}"), batch);
        let dy = dw.input("dy", Meaning::F32, &[input[0], input[1], o]);
        let bits = dw.input("x", Meaning::Bit { codes: Codes::Sign, groups }, &[input[0], input[1], c]);
        dw.op(BinaryConv2dGradWeight { window, pad_value: 0, rounding, unpool: None }, &[bits, dy]);
        for mut case in [dx, dw] {
            spoil(&mut case);
            for isa in Isa::available() {
                let Values::F32(y) = &case.run(isa, 2).outputs["y"] else { panic!("'y' has floats") };
                assert!(y.iter().all(|y| !y.is_finite()), "{} on {}", case.name, isa.name());
            }
        }
    }
}
