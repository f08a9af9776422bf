//! Fused ops: bodies of all kinds over binary and ternary convolutions, and over maps.

use binary_nets_bits::Codes;
use binary_nets_graph::ops::{
    Affine, Arithmetic, ArithmeticFunction, BinaryConv2d, Border, Clamp, Fused, FusedNode, ImageConv2d, MaxPool2d,
    Prelu, Relu, Reshape, TernaryAffine, TernaryConv2d,
};
use binary_nets_graph::{Op, Value, Window};

use super::Case;
use super::binary::{IMAGE, coding, windows};
use super::builder::{Builder, CHANNELS, Fill};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for tail in TAILS {
        for c in CHANNELS {
            for codes in [Codes::Sign, Codes::Step] {
                let conv = Conv { channels: [c, 9, 1], window: Window::square(3, 1, 1), codes, pad_value: 0 };
                cases.push(binary(&format!("in{c}"), tail, &conv));
                let conv = Conv { channels: [9, c, 1], window: Window::square(3, 2, 1), codes, pad_value: 1 };
                cases.push(binary(&format!("out{c}"), tail, &conv));
            }
        }
        for (window_name, window) in windows() {
            for pad_value in [0, 1] {
                let conv = Conv { channels: [14, 6, 2], window, codes: Codes::Sign, pad_value };
                cases.push(binary(&format!("g2/{window_name}"), tail, &conv));
                cases.push(ternary(&format!("g2/{window_name}"), tail, &conv));
            }
        }
        // Sums of more than 16 bits.
        let conv = Conv { channels: [33000, 3, 1], window: Window::square(1, 3, 0), codes: Codes::Sign, pad_value: 0 };
        cases.push(binary("wide", tail, &conv));
        for c in [1, 65] {
            cases.extend([
                floats(tail, c),
                integers(tail, c),
                stem(tail, c),
                image(tail, c, 127),
                image(tail, c, 32767),
            ]);
        }
        for c in [3, 81] {
            cases.push(pooled("w3s2p1", tail, c, Window::square(3, 2, 1)));
        }
        for (window_name, window) in POOLS {
            cases.push(pooled(window_name, tail, 16, window));
        }
    }
    cases
}

const POOLS: [(&str, Window); 3] = [
    ("w2s1", Window { kernel: [2, 2], stride: [1, 1], padding: [0, 0], dilation: [1, 1] }),
    ("w2x3s3x1p0x1d2x1", Window { kernel: [2, 3], stride: [3, 1], padding: [0, 1], dilation: [2, 1] }),
    ("w4x1s1x2p2x0d1x3", Window { kernel: [4, 1], stride: [1, 2], padding: [2, 0], dilation: [1, 3] }),
];

/// The convolution of a case: channels in and out and groups, and the rest.
struct Conv {
    channels: [usize; 3],
    window: Window,
    codes: Codes,
    pad_value: u8,
}

/// What stands behind the affine, and what leaves.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Tail {
    Map,
    /// Codes alone, right behind the affine.
    Codes(Codes),
    ReluCodes(Codes),
    /// Several constants on the way to codes, all of them monotone.
    ConstantsCodes(Codes),
    /// Slopes of both signs, a number each channel, then the sign.
    PreluSign,
    /// Slopes of both signs, then the step, which is no threshold.
    PreluStep,
    /// A constant for each element, then the sign, which is no threshold.
    ConstantMapSign,
    /// A sum whose first operand is another map with a rectifier, then the map and its codes.
    BesideBoth,
    /// A second map, then the map and its codes.
    ResidualBoth,
    /// The same with a bias on the way to the codes, which alone see it.
    BiasedBoth,
    /// `c·y + (1 − c)·m` of a second map, which is scaled on the way.
    Gate,
    /// Every function, on both sides, with a number, a row and a map.
    Functions,
    /// The rows under other extents.
    Reshaped,
}

const TAILS: [Tail; 16] = [
    Tail::Map,
    Tail::Codes(Codes::Sign),
    Tail::Codes(Codes::Step),
    Tail::ReluCodes(Codes::Sign),
    Tail::ReluCodes(Codes::Step),
    Tail::ConstantsCodes(Codes::Sign),
    Tail::ConstantsCodes(Codes::Step),
    Tail::PreluSign,
    Tail::PreluStep,
    Tail::ConstantMapSign,
    Tail::BesideBoth,
    Tail::ResidualBoth,
    Tail::BiasedBoth,
    Tail::Gate,
    Tail::Functions,
    Tail::Reshaped,
];

impl Tail {
    /// Images of a case: constants have no more than one.
    fn batch(self) -> usize {
        if self == Self::ConstantMapSign { 1 } else { 2 }
    }
}

/// A body under construction; until it is done a value of it is the number of its node.
struct Body {
    b: Builder,
    inputs: Vec<Value>,
    nodes: Vec<(Op, Vec<Term>)>,
    shape: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Term {
    Input(usize),
    /// An output of a node.
    Node(usize, usize),
}

impl Body {
    /// Over maps of that shape, without the samples.
    fn new(b: Builder, shape: &[usize]) -> Self {
        Self { b, inputs: Vec::new(), nodes: Vec::new(), shape: shape.to_vec() }
    }

    fn given(&mut self, value: Value) -> Term {
        self.inputs.push(value);
        Term::Input(self.inputs.len() - 1)
    }

    fn constant(&mut self, shape: &[usize], fill: Fill) -> Term {
        let value = self.b.frozen_state(shape, fill);
        self.given(value)
    }

    fn row(&mut self, fill: Fill) -> Term {
        let channels = self.channels();
        self.constant(&[channels], fill)
    }

    fn map(&mut self) -> Term {
        let shape = self.shape.clone();
        let value = self.b.input(&shape, Fill::Turning);
        self.given(value)
    }

    fn channels(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    fn op(&mut self, op: impl Into<Op>, terms: &[Term]) -> Term {
        self.nodes.push((op.into(), terms.to_vec()));
        Term::Node(self.nodes.len() - 1, 0)
    }

    /// a and c, some of which are 0, −0.0 and tiny; integers up to `bound` come out around 0 and often on it.
    fn affine(&mut self, bound: usize) -> [Term; 2] {
        let channels = self.channels();
        let a = self.b.frozen_state(&[channels], Fill::Turning);
        let c = self.b.frozen_state(&[channels], Fill::Coarse);
        self.b.overwrite(a, (5..channels).step_by(7).map(|i| (i, 1e-38)));
        self.b.overwrite(a, (3..channels).step_by(5).map(|i| (i, -1.0)));
        // y is 0 for d = ±2, and beyond all sums there is nothing but one code.
        self.b.overwrite(c, (1..channels).step_by(3).map(|i| (i, 2.0)));
        self.b.overwrite(c, (4..channels).step_by(11).map(|i| (i, 3.0 * bound as f32)));
        self.b.overwrite(c, (2..channels).step_by(6).map(|i| (i, -0.0)));
        [self.given(a), self.given(c)]
    }

    fn tail(&mut self, tail: Tail, y: Term) -> Vec<Term> {
        let code = |codes: Codes| coding(codes, 1);
        match tail {
            Tail::Map => vec![y],
            Tail::Codes(codes) => vec![self.op(code(codes), &[y])],
            Tail::ReluCodes(codes) => {
                let y = self.op(Relu {}, &[y]);
                vec![self.op(code(codes), &[y])]
            }
            Tail::ConstantsCodes(codes) => {
                let (a, c) = (self.row(Fill::Turning), self.row(Fill::Coarse));
                let (number, row) = (self.constant(&[], Fill::Coarse), self.row(Fill::Turning));
                let mut y = self.op(Relu {}, &[y]);
                y = self.op(Affine { border: None }, &[y, a, c]);
                y = self.op(Arithmetic::SUB, &[number, y]);
                y = self.op(Clamp { min: -6.5, max: 4.0 }, &[y]);
                y = self.op(Arithmetic::MUL, &[y, row]);
                y = self.op(Arithmetic::ADD, &[c, y]);
                vec![self.op(code(codes), &[y])]
            }
            Tail::PreluSign | Tail::PreluStep => {
                let slope = self.row(Fill::Turning);
                let y = self.op(Prelu {}, &[y, slope]);
                vec![self.op(code(if tail == Tail::PreluSign { Codes::Sign } else { Codes::Step }), &[y])]
            }
            Tail::ConstantMapSign => {
                let shape = self.shape.clone();
                let map = self.constant(&shape, Fill::Turning);
                let y = self.op(Arithmetic::ADD, &[y, map]);
                vec![self.op(code(Codes::Sign), &[y])]
            }
            Tail::BesideBoth => {
                let map = self.map();
                let beside = self.op(Relu {}, &[map]);
                let y = self.op(Arithmetic::ADD, &[beside, y]);
                vec![y, self.op(code(Codes::Sign), &[y])]
            }
            Tail::ResidualBoth | Tail::BiasedBoth => {
                let (map, bias) = (self.map(), self.row(Fill::Coarse));
                let mut y = self.op(Relu {}, &[y]);
                y = self.op(Arithmetic::ADD, &[map, y]);
                y = self.op(Relu {}, &[y]);
                let t = if tail == Tail::BiasedBoth { self.op(Arithmetic::SUB, &[y, bias]) } else { y };
                vec![self.op(code(Codes::Sign), &[t]), y]
            }
            Tail::Gate => {
                let (map, gate, rest) = (self.map(), self.row(Fill::Positive), self.constant(&[1], Fill::Positive));
                let scaled = self.op(Arithmetic::MUL, &[map, rest]);
                let beside = self.op(Relu {}, &[scaled]);
                let y = self.op(Arithmetic::MUL, &[y, gate]);
                let y = self.op(Arithmetic::ADD, &[y, beside]);
                vec![y, self.op(code(Codes::Step), &[y])]
            }
            Tail::Functions => {
                let mut y = y;
                for function in [
                    ArithmeticFunction::Add,
                    ArithmeticFunction::Sub,
                    ArithmeticFunction::Mul,
                    ArithmeticFunction::Div,
                    ArithmeticFunction::Min,
                    ArithmeticFunction::Max,
                ] {
                    for flipped in [false, true] {
                        // The one that is divided by is never 0, for it starts from the other.
                        let operand = match function {
                            ArithmeticFunction::Div => self.row(Fill::Positive),
                            ArithmeticFunction::Min => self.constant(&[1, 1], Fill::Offset),
                            ArithmeticFunction::Max if flipped => self.row(Fill::Positive),
                            _ => self.map(),
                        };
                        let both = if flipped { [operand, y] } else { [y, operand] };
                        if function == ArithmeticFunction::Div && flipped {
                            let floor = self.constant(&[], Fill::Positive);
                            let above = self.op(Arithmetic { function: ArithmeticFunction::Max }, &[y, floor]);
                            y = self.op(Arithmetic { function }, &[operand, above]);
                        } else {
                            y = self.op(Arithmetic { function }, &both);
                        }
                    }
                }
                vec![y]
            }
            Tail::Reshaped => {
                let y = self.op(Relu {}, &[y]);
                let rows = self.op(Reshape { dims: vec![-1, self.channels() as i64] }, &[y]);
                let (a, c) = (self.row(Fill::Turning), self.row(Fill::Coarse));
                let y = self.op(Affine { border: None }, &[rows, a, c]);
                vec![self.op(code(Codes::Sign), &[y])]
            }
        }
    }

    fn case(mut self, outputs: &[Term]) -> Case {
        let yields = |op: &Op| if matches!(op, Op::TernaryConv2d(_)) { 2 } else { 1 };
        let mut starts = vec![self.inputs.len()];
        for (op, _) in &self.nodes {
            starts.push(starts[starts.len() - 1] + yields(op));
        }
        let number = |term: &Term| match *term {
            Term::Input(i) => i,
            Term::Node(node, output) => starts[node] + output,
        };
        let body = self
            .nodes
            .iter()
            .map(|(op, terms)| FusedNode { op: op.clone(), inputs: terms.iter().map(number).collect() });
        let fused = Fused { body: body.collect(), outputs: outputs.iter().map(number).collect() };
        let outputs = self.b.ops(fused, &self.inputs);
        self.b.outputs(&outputs)
    }
}

fn binary(name: &str, tail: Tail, conv: &Conv) -> Case {
    let &Conv { channels: [c, o, groups], window, codes, pad_value } = conv;
    let mut b = Builder::with_batch(format!("fused/binary/{tail:?}/{name}/{codes:?}/pad{pad_value}"), tail.batch());
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let x = b.op(coding(codes, groups), &[x]);
    let [kh, kw] = window.kernel;
    let w = b.frozen_bits(&[o, kh, kw, c / groups]);
    let [height, width] = window.output(IMAGE).expect("windows that fit");
    let mut body = Body::new(b, &[height, width, o]);
    let (x, w) = (body.given(x), body.given(w));
    let d = body.op(BinaryConv2d { window, pad_value }, &[x, w]);
    let [a, offset] = body.affine(kh * kw * c / groups);
    let y = body.op(Affine { border: None }, &[d, a, offset]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

fn ternary(name: &str, tail: Tail, conv: &Conv) -> Case {
    let &Conv { channels: [c, o, groups], window, codes, pad_value } = conv;
    let mut b = Builder::with_batch(format!("fused/ternary/{tail:?}/{name}/{codes:?}/pad{pad_value}"), tail.batch());
    let x = b.input(&[IMAGE[0], IMAGE[1], c], Fill::Turning);
    let x = b.op(coding(codes, groups), &[x]);
    let [kh, kw] = window.kernel;
    let planes = [(); 2].map(|()| b.frozen_plane(&[o, kh, kw, c / groups]));
    let [height, width] = window.output(IMAGE).expect("windows that fit");
    let mut body = Body::new(b, &[height, width, o]);
    let terms = [x, planes[0], planes[1]].map(|value| body.given(value));
    body.op(TernaryConv2d { window, pad_value }, &terms);
    let [a_p, offset] = body.affine(kh * kw * c / groups);
    let a_n = body.row(Fill::Turning);
    let y = body.op(TernaryAffine {}, &[Term::Node(0, 0), Term::Node(0, 1), a_p, a_n, offset]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

/// Behind an op on floats, which another map is added to first.
fn floats(tail: Tail, c: usize) -> Case {
    let mut body = Body::new(Builder::with_batch(format!("fused/floats/{tail:?}/c{c}"), tail.batch()), &[40, 5, c]);
    let (x, other) = (body.map(), body.map());
    let y = body.op(Arithmetic::ADD, &[x, other]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

/// Behind integers that others read too.
fn integers(tail: Tail, c: usize) -> Case {
    let mut b = Builder::with_batch(format!("fused/integers/{tail:?}/c{c}"), tail.batch());
    let x = b.input(&[IMAGE[0], IMAGE[1], 9], Fill::Turning);
    let x = b.op(coding(Codes::Step, 1), &[x]);
    let w = b.frozen_bits(&[c, 1, 1, 9]);
    let d = b.op(BinaryConv2d { window: Window::square(1, 1, 0), pad_value: 0 }, &[x, w]);
    let mut body = Body::new(b, &[IMAGE[0], IMAGE[1], c]);
    let d = body.given(d);
    let [a, offset] = body.affine(9);
    let y = body.op(Affine { border: None }, &[d, a, offset]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

/// Behind pixels, with a c for each border case.
fn stem(tail: Tail, c: usize) -> Case {
    let mut b = Builder::with_batch(format!("fused/stem/{tail:?}/c{c}"), tail.batch());
    let image = b.image(&[9, 8, c]);
    let border = Border { window: Window::square(3, 1, 1), input: [9, 8] };
    let [rows, columns] = border.cases().expect("a window that fits");
    let mut body = Body::new(b, &[9, 8, c]);
    let x = body.given(image);
    let (a, offset) = (body.row(Fill::Uniform(1.0 / 128.0)), body.constant(&[rows, columns, c], Fill::Coarse));
    let y = body.op(Affine { border: Some(border) }, &[x, a, offset]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

/// Behind the convolution of an image, with a c for each border case.
fn image(tail: Tail, c: usize, largest: u16) -> Case {
    let mut b = Builder::with_batch(format!("fused/image/{tail:?}/c{c}/{largest}"), tail.batch());
    let border = Border { window: Window::square(3, 2, 1), input: [9, 8] };
    let [rows, columns] = border.cases().expect("a window that fits");
    let x = b.image(&[9, 8, 3]);
    let q = b.frozen_stem(&[c, 3, 3, 3], largest);
    let mut body = Body::new(b, &[5, 4, c]);
    let (x, q) = (body.given(x), body.given(q));
    let d = body.op(ImageConv2d { border }, &[x, q]);
    let (a, offset) = (body.row(Fill::Uniform(1.0 / 65536.0)), body.constant(&[rows, columns, c], Fill::Coarse));
    let y = body.op(Affine { border: Some(border) }, &[d, a, offset]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}

/// Behind the convolution of an image, its rectifier and a max pool.
fn pooled(name: &str, tail: Tail, c: usize, pool: Window) -> Case {
    let size = [13, 11];
    let mut b = Builder::with_batch(format!("fused/pooled/{tail:?}/{name}/c{c}"), tail.batch());
    let border = Border { window: Window::square(3, 1, 1), input: size };
    let [rows, columns] = border.cases().expect("a window that fits");
    let x = b.image(&[size[0], size[1], 3]);
    let q = b.frozen_stem(&[c, 3, 3, 3], 32767);
    let [height, width] = pool.output(size).expect("a window that fits");
    let mut body = Body::new(b, &[height, width, c]);
    let (x, q) = (body.given(x), body.given(q));
    let d = body.op(ImageConv2d { border }, &[x, q]);
    let (a, offset) = (body.row(Fill::Uniform(1.0 / 65536.0)), body.constant(&[rows, columns, c], Fill::Coarse));
    let mut y = body.op(Affine { border: Some(border) }, &[d, a, offset]);
    if c == 16 {
        y = body.op(Relu {}, &[y]);
    }
    let y = body.op(MaxPool2d { window: pool }, &[y]);
    let outputs = body.tail(tail, y);
    body.case(&outputs)
}
