//! Convolutions and matrix products, bit by bit: against chains of fused multiply-adds, on every instruction set and number of threads.

#[allow(dead_code, reason = "other tests use the rest")]
mod runner;

use binary_nets_bits::Codes;
use binary_nets_conformance::Random;
use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::Cpu;
use binary_nets_exec::{Address, Backend, Region, Run};
use binary_nets_graph::ops::{
    BinarizeWeight, BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight, Border, Conv2d, Conv2dGradInput,
    Conv2dGradWeight, ImageConv2d, Input, Matmul, MaxPool2dGrad, State, StateKind, StochasticRounding, TernaryConv2d,
    TernaryConv2dGradInput, WeightGradient, WeightScale,
};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, Window};
use binary_nets_kernels::Isa;
use runner::Planned;

/// A graph of one op on random leaves.
struct Case {
    name: String,
    graph: Graph,
    inputs: Inputs,
    random: Random,
}

impl Case {
    fn new(name: &str, batch: usize) -> Self {
        let random = Random::new(name.bytes().map(u64::from).sum());
        Self { name: name.to_owned(), graph: Graph::new(batch), inputs: Inputs::default(), random }
    }

    /// A leaf of the batch.
    fn input(&mut self, name: &str, meaning: Meaning, sample: &[usize]) -> Value {
        let leaf = Input { name: name.to_owned(), shape: sample.into(), meaning };
        self.leaf(leaf, name)
    }

    /// A leaf that stays.
    fn state(&mut self, name: &str, meaning: Meaning, kind: StateKind, shape: &[usize]) -> Value {
        let init = Init::Constant(0.0);
        let leaf = State { path: name.to_owned(), shape: shape.into(), kind, init, meaning };
        self.leaf(leaf, name)
    }

    fn leaf(&mut self, leaf: impl Into<Op>, name: &str) -> Value {
        let value = self.graph.add_one(leaf, &[], "").unwrap();
        let meta = self.graph.meta(value).clone();
        let random = &mut self.random;
        let numbers: Vec<f64> = (0..meta.shape.elements())
            .map(|_| match meta.meaning {
                Meaning::F32 => random.number(),
                Meaning::Bit { codes, .. } => f64::from(codes.value(random.below(2) == 1)),
                // The bounds are drawn often.
                Meaning::Int { min, max } => {
                    let any = min + random.below((max - min + 1) as u64) as i64;
                    [min, max, any, any][random.below(4) as usize] as f64
                }
                Meaning::Index { classes } => random.below(u64::from(classes)) as f64,
            })
            .collect();
        self.inputs.tensors.insert(name.to_owned(), Values::from_numbers(meta.meaning, &numbers));
        value
    }

    fn op(&mut self, op: impl Into<Op>, inputs: &[Value]) {
        for (i, output) in self.graph.add(op, inputs, "").unwrap().into_iter().enumerate() {
            self.graph.set_output(["y", "z"][i], output);
        }
    }

    fn run(&self, isa: Isa, threads: usize) -> Outputs {
        let cpu = Cpu::new(Some(threads), isa).unwrap();
        let planned = Planned::new(&cpu, &self.graph, 1).unwrap();
        // Old bytes are NaNs, so that whoever reads what nobody wrote is caught.
        let bytes = planned.program.workspace_bytes() * cpu.lanes(1);
        let workspace = Address { region: Region::Workspace, offset: 0, bytes };
        cpu.write(&planned.memory.workspace, workspace, &vec![0xff; bytes]);
        planned.write(&self.inputs, 0);
        planned.run(&Run::default()).unwrap();
        planned.read(0)
    }

    /// The outputs, the same on every instruction set and number of threads.
    fn outputs(&self) -> Outputs {
        let expected = self.run(Isa::detect(), 1);
        for isa in Isa::available() {
            for threads in [1, 2, 5] {
                let got = self.run(isa, threads);
                assert!(got == expected, "{} on {} with {threads} threads", self.name, isa.name());
            }
        }
        expected
    }

    fn floats(&self, name: &str) -> &[f32] {
        let Values::F32(data) = &self.inputs.tensors[name] else { panic!("'{name}' has floats") };
        data
    }

    fn integers(&self, name: &str) -> &[i64] {
        let Values::I64(data) = &self.inputs.tensors[name] else { panic!("'{name}' has integers") };
        data
    }
}

/// Batch, input size, input and output channels, groups, window.
type Shape = (usize, [usize; 2], [usize; 2], usize, Window);

/// Blocks and panels that are cut at every kind of place.
fn shapes() -> Vec<Shape> {
    let odd = Window { kernel: [2, 3], stride: [1, 2], padding: [0, 2], dilation: [3, 1] };
    vec![
        (1, [13, 12], [3, 16], 1, Window::square(3, 1, 1)),
        (9, [4, 4], [66, 70], 1, Window::square(3, 1, 1)),
        (3, [13, 12], [6, 4], 2, Window::square(3, 2, 1)),
        (2, [12, 11], [20, 130], 1, Window::square(1, 1, 0)),
        (2, [13, 11], [5, 17], 1, Window::square(1, 2, 0)),
        (2, [9, 14], [8, 8], 1, odd),
        (2, [15, 15], [3, 8], 1, Window::square(7, 2, 3)),
        (11, [6, 6], [5, 5], 5, Window::square(3, 1, 1)),
        (2, [2, 2], [3, 4], 1, Window::square(1, 3, 0)),
        // Several images, and blocks of them, in one partial sum.
        (20, [12, 12], [3, 4], 1, Window::square(3, 1, 1)),
    ]
}

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
