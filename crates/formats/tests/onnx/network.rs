//! A small frozen network with a stem, codes of both kinds, groups, padding in ones, ternary weights and weights of 8 bits.

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_formats::model::{Constant, Elements, Metadata, Model, Normalize};
use binary_nets_graph::ops::{
    Affine, Arithmetic, BinaryConv2d, Border, Dequantize, ImageConv2d, Input, Matmul, MaxPool2d, Reduce, Reduction,
    Relu, Reshape, Sign, State, StateKind, Step, Surrogate, TernaryAffine, TernaryConv2d,
};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, ValueMeta, Window};

pub const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
pub const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// A graph with its constants.
pub struct Builder {
    pub graph: Graph,
    pub constants: Vec<Constant>,
    random: u64,
}

impl Builder {
    pub fn new() -> Self {
        Self { graph: Graph::new(1), constants: Vec::new(), random: 88_172_645_463_325_252 }
    }

    /// Numbers that look random (Marsaglia 2003).
    pub fn bits(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 8
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[Value], path: &str) -> Value {
        self.graph.add(op, inputs, path).unwrap()[0]
    }

    pub fn constant(&mut self, path: &str, meta: ValueMeta, data: Elements) -> Value {
        let state = State {
            path: path.to_owned(),
            shape: meta.shape.clone(),
            kind: StateKind::Constant,
            init: Init::Constant(0.0),
            meaning: meta.meaning,
        };
        self.constants.push(Constant { path: path.to_owned(), meta, data });
        self.op(state, &[], "")
    }

    pub fn floats(&mut self, path: &str, shape: &[usize]) -> Value {
        let data = (0..shape.iter().product()).map(|_| (self.bits() % 2001) as f32 / 1000.0 - 1.0).collect();
        self.constant(path, ValueMeta::f32(shape), Elements::F32(data))
    }

    pub fn weights(&mut self, path: &str, codes: Codes, shape: [usize; 4], is_set: impl Fn(u64) -> bool) -> Value {
        let [o, kh, kw, c] = shape;
        let layout = BitLayout { rows: o * kh * kw, groups: 1, channels: c };
        let mut words = vec![0u64; layout.len()];
        let mut random = Self { random: 99, ..Self::new() };
        for row in 0..layout.rows {
            for channel in 0..c {
                let (word, bit) = layout.position(row, 0, channel);
                words[word] |= u64::from(is_set(random.bits())) << bit;
            }
        }
        self.constant(path, ValueMeta::new(Meaning::bits(codes), shape), Elements::Bits(words))
    }

    pub fn integers(&mut self, path: &str, most: i64, shape: &[usize]) -> Value {
        let span = 2 * most as u64 + 1;
        let data = (0..shape.iter().product()).map(|_| (self.bits() % span) as i64 - most).map(|x| x as i16).collect();
        self.constant(path, ValueMeta::new(Meaning::Int { min: -most, max: most }, shape), Elements::I16(data))
    }

    /// The image, its stem and the affine behind, whose constants at the border are those of mean and std.
    pub fn stem(&mut self, o: usize, border: Border) -> Value {
        let [h, w] = border.input;
        let meaning = Meaning::Int { min: 0, max: 255 };
        let image = self.op(Input { name: "image".to_owned(), shape: [h, w, 3].into(), meaning }, &[], "image");
        let [kh, kw] = border.window.kernel;
        let q = self.integers("conv1.q", 32767, &[o, kh, kw, 3]);
        let Elements::I16(weights) = self.constants.last().unwrap().data.clone() else { unreachable!() };
        let a: Vec<f32> = (0..o).map(|i| (i as f32 + 1.5) * 1e-7 * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let output = border.window.output(border.input).unwrap();
        let cases = [0, 1].map(|axis| border.window.border_cases(axis, border.input[axis], output[axis]).taps);
        let mut c = Vec::new();
        for rows in &cases[0] {
            for columns in &cases[1] {
                for (out, &a) in a.iter().enumerate() {
                    let mut sum = 0.0;
                    for (i, weight) in weights[out * kh * kw * 3..(out + 1) * kh * kw * 3].iter().enumerate() {
                        if rows.contains(&(i / 3 / kw)) && columns.contains(&(i / 3 % kw)) {
                            sum += f64::from(*weight) * 255.0 * MEAN[i % 3];
                        }
                    }
                    c.push((0.25 * out as f64 - 1.0 - f64::from(a) * sum) as f32);
                }
            }
        }
        let d = self.op(ImageConv2d { border }, &[image, q], "conv1");
        let a = self.constant("bn1.a", ValueMeta::f32([o]), Elements::F32(a));
        let c = self.constant("bn1.c", ValueMeta::f32([cases[0].len(), cases[1].len(), o]), Elements::F32(c));
        self.op(Affine { border: Some(border) }, &[d, a, c], "bn1")
    }

    pub fn affine(&mut self, x: Value, o: usize, path: &str) -> Value {
        let (a, c) = (self.floats(&format!("{path}.a"), &[o]), self.floats(&format!("{path}.c"), &[o]));
        self.op(Affine { border: None }, &[x, a, c], path)
    }

    pub fn finish(mut self, outputs: &[(&str, Value)]) -> Model {
        for (name, value) in outputs {
            self.graph.set_output(name, *value);
        }
        let normalize = Some(Normalize { mean: MEAN.to_vec(), std: STD.to_vec() });
        let classes = Some((0..5).map(|i| format!("class {i}")).collect());
        let metadata = Metadata { normalize, classes, ..Metadata::default() };
        Model { graph: GraphSpec::of(&self.graph), constants: self.constants, metadata }
    }
}

pub fn model() -> Model {
    let mut b = Builder::new();
    let border = Border { window: Window::square(3, 1, 1), input: [6, 7] };
    let y = b.stem(6, border);

    let codes = b.op(Sign { gradient: Surrogate::Identity, groups: 2 }, &[y], "conv2");
    let bits = b.weights("conv2.bits", Codes::Sign, [8, 3, 3, 3], |x| x % 2 == 0);
    let window = Window::square(3, 1, 1);
    let d = b.op(BinaryConv2d { window, pad_value: 1 }, &[codes, bits], "conv2");
    let y = b.affine(d, 8, "bn2");
    let y = b.op(Relu {}, &[y], "relu");

    let codes = b.op(Step { gradient: Surrogate::Identity, groups: 1 }, &[y], "conv3");
    let positive = b.weights("conv3.positive", Codes::Step, [8, 3, 3, 8], |x| x % 3 == 0);
    let negative = b.weights("conv3.negative", Codes::Step, [8, 3, 3, 8], |x| x % 3 == 1);
    let window = Window::square(3, 2, 1);
    let d = b.graph.add(TernaryConv2d { window, pad_value: 0 }, &[codes, positive, negative], "conv3").unwrap();
    let constants = ["a_p", "a_n", "c"].map(|part| b.floats(&format!("bn3.{part}"), &[8]));
    let ternary = b.op(TernaryAffine {}, &[&d[..], &constants].concat(), "bn3");

    let skip = b.op(MaxPool2d { window: Window::square(3, 2, 1) }, &[y], "pool");
    let y = b.op(Arithmetic::ADD, &[ternary, skip], "add");
    let halves = b.op(Reshape { dims: vec![0, 0, 0, 2, -1] }, &[y], "bases");
    let sum = b.op(Reduce { reduction: Reduction::Sum, axes: vec![3], keep: false }, &[halves], "bases");
    let features = b.op(Reduce { reduction: Reduction::Mean, axes: vec![1, 2], keep: false }, &[sum], "mean");
    let q = b.integers("fc.weight", 127, &[5, 4]);
    let scale = b.floats("fc.scale", &[5]);
    let w = b.op(Dequantize { axis: 0 }, &[q, scale], "fc");
    let logits = b.op(Matmul { transpose_a: false, transpose_b: true }, &[features, w], "fc");
    let bias = b.floats("fc.bias", &[5]);
    let logits = b.op(Arithmetic::ADD, &[logits, bias], "fc");
    b.finish(&[("logits", logits), ("features", features), ("map", y)])
}
