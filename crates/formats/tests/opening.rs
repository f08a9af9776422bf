//! What opening a file takes is bounded, whatever it says.

use std::time::{Duration, Instant};

use binary_nets_formats::model::{Constant, Elements, Metadata, Model};
use binary_nets_graph::ops::{Affine, Border, Fill, ImageConv2d, Input, Matmul, MaxPool2d, Relu, State, StateKind};
use binary_nets_graph::spec::{GraphSpec, NodeSpec, ValueRef};
use binary_nets_graph::{Init, Meaning, Op, ValueMeta, Window};

/// A model under construction, that starts with an image.
struct Builder {
    nodes: Vec<NodeSpec>,
    constants: Vec<Constant>,
}

impl Builder {
    fn new(image: [usize; 3]) -> Self {
        let meaning = Meaning::Int { min: 0, max: 255 };
        let op = Input { name: "image".to_owned(), shape: image.into(), meaning }.into();
        Self { nodes: vec![NodeSpec { op, inputs: vec![], path: "image".to_owned() }], constants: Vec::new() }
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[ValueRef], path: &str) -> ValueRef {
        self.nodes.push(NodeSpec { op: op.into(), inputs: inputs.to_vec(), path: path.to_owned() });
        (self.nodes.len() - 1, 0)
    }

    /// Zeroes.
    fn state(&mut self, path: &str, meaning: Meaning, shape: &[usize]) -> ValueRef {
        let meta = ValueMeta::new(meaning, shape);
        let count = meta.shape.elements();
        let data =
            if meaning == Meaning::F32 { Elements::F32(vec![0.0; count]) } else { Elements::I16(vec![0; count]) };
        self.constants.push(Constant { path: path.to_owned(), meta, data });
        let (path, kind, init) = (path.to_owned(), StateKind::Constant, Init::Constant(0.0));
        self.add(State { path, shape: shape.into(), kind, init, meaning }, &[], "")
    }

    /// Two numbers for each pixel.
    fn stem(&mut self, border: Border) -> ValueRef {
        let [kh, kw] = border.window.kernel;
        let q = self.state("q", Meaning::Int { min: -32767, max: 32767 }, &[2, kh, kw, 1]);
        self.add(ImageConv2d { border }, &[(0, 0), q], "stem")
    }

    /// The constants of an affine with a border.
    fn constants(&mut self, border: Border) -> [ValueRef; 2] {
        let [rows, columns] = border.cases().unwrap();
        [self.state("a", Meaning::F32, &[2]), self.state("c", Meaning::F32, &[rows, columns, 2])]
    }

    fn check(self, output: ValueRef) -> Result<(), String> {
        let outputs = [("out".to_owned(), output)].into();
        let graph = GraphSpec { version: 1, nodes: self.nodes, outputs, layers: [].into() };
        let model = Model { graph, constants: self.constants, metadata: Metadata::default() };
        let start = Instant::now();
        let result = model.check().map(drop).map_err(|error| error.to_string());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        result
    }
}

#[test]
fn borders_stand_behind_the_convolution_that_has_them() {
    let border = Border { window: Window::square(3, 1, 1), input: [4, 4] };
    let with = |source: &dyn Fn(&mut Builder, ValueRef) -> ValueRef, border: Border| {
        let mut b = Builder::new([4, 4, 1]);
        let stem = b.stem(Border { window: Window::square(3, 1, 1), input: [4, 4] });
        let x = source(&mut b, stem);
        let [a, c] = b.constants(border);
        let y = b.add(Affine { border: Some(border) }, &[x, a, c], "norm");
        b.check(y)
    };
    assert_eq!(with(&|_, stem| stem, border), Ok(()));
    let behind = |b: &mut Builder, stem| {
        let [a, c] = [b.state("a1", Meaning::F32, &[2]), b.state("c1", Meaning::F32, &[2])];
        let x = b.add(Affine { border: None }, &[stem, a, c], "one");
        b.add(Relu {}, &[x], "between")
    };
    let refusal = "graph spec: affine at 'norm': its border is that of an image_conv2d in front of it, and there is ";
    assert_eq!(with(&behind, border), Err(format!("{refusal}relu at 'between'")));
    // As many outputs, of another window.
    let other = Border { window: Window::square(5, 1, 2), input: [4, 4] };
    assert_eq!(with(&|_, stem| stem, other), Err(format!("{refusal}image_conv2d at 'stem'")));
}

#[test]
fn borders_are_few() {
    let border = Border { window: Window { kernel: [1024, 1], ..Window::square(1, 1, 0) }, input: [16384, 1] };
    let with = |count: usize| {
        let mut b = Builder::new([16384, 1, 1]);
        let stem = b.stem(border);
        let [a, c] = b.constants(border);
        let affine = |_| b.add(Affine { border: Some(border) }, &[stem, a, c], "norm");
        let last = (0..count).map(affine).last().unwrap();
        b.check(last)
    };
    // Each has 16384 − 1023 rows and a column, and 2^17 are allowed.
    assert_eq!(with(8), Ok(()));
    let refusal = "graph spec: affine at 'norm': with it, affines tell borders apart along 138258 rows and columns, \
                   not 131072 at most";
    assert_eq!(with(8000), Err(refusal.to_owned()));
}

#[test]
fn what_is_computed_from_constants_alone_is_bounded() {
    let with = |make: &dyn Fn(&mut Builder) -> ValueRef| {
        let mut b = Builder::new([1, 1, 1]);
        make(&mut b);
        let stem = b.stem(Border { window: Window::square(1, 1, 0), input: [1, 1] });
        b.check(stem)
    };
    let fill = |b: &mut Builder, shape: &[usize]| b.add(Fill { value: 1.0, shape: shape.into() }, &[], "fill");
    let product = |side: usize| {
        move |b: &mut Builder| {
            let x = fill(b, &[side, side]);
            b.add(Matmul { transpose_a: false, transpose_b: false }, &[x, x], "product")
        }
    };
    // 2^30 products.
    assert_eq!(with(&product(1 << 10)), Ok(()));
    let too_much = |error: Result<(), String>, path: &str| {
        let error = error.unwrap_err();
        let expected = "numbers are computed from constants before the first image, not 2147483648 at most";
        assert!(error.contains(path) && error.ends_with(expected), "{error}");
    };
    // 2^39 products, and four maps of 2^26 numbers: made, read twice, written.
    too_much(with(&product(1 << 13)), "matmul at 'product': with it, 550024249344 ");
    let pool = |b: &mut Builder| {
        let x = fill(b, &[1, 2048, 2048, 1]);
        b.add(MaxPool2d { window: Window::square(1023, 1, 511) }, &[x], "pool")
    };
    too_much(with(&pool), "max_pool2d at 'pool'");
    let many = |b: &mut Builder| {
        let x = fill(b, &[1, 1 << 14, 1 << 13, 2]);
        (0..100).fold(x, |x, i| b.add(Relu {}, &[x], &format!("relu{i}")))
    };
    too_much(with(&many), "relu at 'relu3'");
}
