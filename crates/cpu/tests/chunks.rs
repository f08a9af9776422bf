//! Tensors of several chunks, the last one shorter: the suite's own are smaller than one.

#[path = "runner/copied.rs"]
mod copied;
#[allow(dead_code, reason = "another test trains the model")]
#[path = "runner/model.rs"]
mod model;
mod runner;

use binary_nets_bits::Codes;
use binary_nets_conformance::suite::{Case, check};
use binary_nets_cpu::Cpu;
use binary_nets_exec::Run;
use binary_nets_graph::ops::{
    Adam, Affine, ApplyMask, Arithmetic, Assign, BatchNorm, BatchNormFused, BatchNormGrad, BatchNormInference, Bop,
    Clamp, Clear, Compare, Comparison, Concat, Constant, Dropout, Gather, GlobalNorm, Input, IntervalMask,
    MovingAverage, NormalizeImage, OneHot, PadAxis, Prelu, QuantizeSlope, QuantizedSlopeGrad, Reduce, Reduction, Relu,
    Repeat, Reshape, Scalar, Scatter, Select, Sgd, Sign, Slice, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad, State,
    StateKind, Step, Surrogate, SurrogateGrad, SurrogateSlope, Transpose,
};
use binary_nets_graph::ops::{BroadcastTo, Fill, Unary, UnaryFunction};
use binary_nets_graph::{Graph, Init, Meaning, Op, Value};
use binary_nets_kernels::Isa;
use copied::{same, with_copied_leaf};
use runner::Planned;

/// Samples; with the maps below more than four chunks, and no whole number of them.
const BATCH: usize = 5;

struct Builder {
    graph: Graph,
    leaves: usize,
}

impl Builder {
    fn leaf(&mut self, meaning: Meaning, sample: &[usize]) -> Value {
        self.leaves += 1;
        let input = Input { name: format!("x{}", self.leaves), shape: sample.into(), meaning };
        self.graph.add_one(input, &[], "").unwrap()
    }

    fn floats(&mut self, sample: &[usize]) -> Value {
        self.leaf(Meaning::F32, sample)
    }

    fn bits(&mut self, sample: &[usize]) -> Value {
        self.leaf(Meaning::bits(Codes::Step), sample)
    }

    /// A state; around 1 if `positive`.
    fn state(&mut self, shape: &[usize], positive: bool) -> Value {
        self.leaves += 1;
        let path = format!("{}{}", if positive { "running_var" } else { "s" }, self.leaves);
        let state = State {
            path,
            shape: shape.into(),
            kind: StateKind::Parameter,
            init: Init::Constant(0.0),
            meaning: Meaning::F32,
        };
        self.graph.add_one(state, &[], "").unwrap()
    }

    fn norm(&mut self, c: usize, positive: [bool; 4]) -> [Value; 4] {
        positive.map(|positive| self.state(&[c], positive))
    }
}

/// Builds the inputs of an op.
type Inputs = Box<dyn Fn(&mut Builder) -> Vec<Value>>;

fn ops(map: &'static [usize]) -> Vec<(Op, Inputs)> {
    let mut ops: Vec<(Op, Inputs)> = Vec::new();
    let c = map[2];
    let whole: Vec<usize> = [&[BATCH], map].concat();
    let mut add = |op: Op, inputs: Inputs| ops.push((op, inputs));
    let one = move || -> Inputs { Box::new(move |b| vec![b.floats(map)]) };
    let two = move |other: &'static [usize]| -> Inputs { Box::new(move |b| vec![b.floats(map), b.floats(other)]) };
    add(Fill { value: 0.5, shape: whole.clone().into() }.into(), Box::new(|_| Vec::new()));
    add(Sign { gradient: Surrogate::Clip, groups: 1 }.into(), one());
    add(Step { gradient: Surrogate::Clip, groups: c }.into(), one());
    for gradient in [SurrogateSlope::Approx, SurrogateSlope::Swish { beta: 5.0 }] {
        add(SurrogateGrad { gradient }.into(), two(map));
        add(QuantizeSlope { gradient }.into(), one());
        let bytes = Meaning::Int { min: 0, max: 255 };
        add(QuantizedSlopeGrad { gradient }.into(), Box::new(move |b| vec![b.leaf(bytes, map), b.floats(map)]));
    }
    add(Relu {}.into(), one());
    add(Prelu {}.into(), Box::new(move |b| vec![b.floats(map), b.state(&[c], false)]));
    add(Prelu {}.into(), Box::new(move |b| vec![b.floats(map), b.state(&[1], false)]));
    add(Clamp { min: -0.5, max: 0.25 }.into(), one());
    for function in [UnaryFunction::Exp, UnaryFunction::Tanh] {
        add(Unary { function }.into(), one());
    }
    for flat in [false, true] {
        add(IntervalMask { min: -0.5, max: 0.25, flat }.into(), one());
    }
    add(ApplyMask { scale: 1.5 }.into(), Box::new(move |b| vec![b.bits(map), b.floats(map)]));
    add(Select {}.into(), Box::new(move |b| vec![b.bits(map), b.floats(map), b.state(&[c], false)]));
    add(Compare { comparison: Comparison::Less }.into(), Box::new(move |b| vec![b.floats(map), b.state(&[c], false)]));
    add(Compare { comparison: Comparison::Less }.into(), two(map));
    add(Dropout { p: 0.3, stream: 1 }.into(), one());
    add(Arithmetic::ADD.into(), two(map));
    add(Arithmetic::SUB.into(), Box::new(move |b| vec![b.state(&[c], false), b.floats(map)]));
    add(Arithmetic::MUL.into(), Box::new(move |b| vec![b.floats(map), b.state(&[], false)]));
    add(Arithmetic::MUL.into(), Box::new(move |b| vec![b.floats(map), b.floats(&[1, 1, c])]));
    add(Arithmetic::MUL.into(), Box::new(move |b| vec![b.floats(&[map[0], 1, c]), b.floats(&[1, map[1], 1])]));
    add(BroadcastTo { shape: whole.clone().into() }.into(), Box::new(move |b| vec![b.floats(&[map[0], 1, 1])]));
    add(Transpose { permutation: vec![0, 3, 1, 2] }.into(), one());
    add(Reshape { dims: vec![0, -1] }.into(), one());
    add(Slice { axis: 2, start: 3, end: map[1] - 1 }.into(), one());
    add(PadAxis { axis: 3, before: 2, after: 1 }.into(), one());
    add(Concat { axis: 3 }.into(), Box::new(move |b| vec![b.floats(map), b.floats(&[map[0], map[1], 3])]));
    add(Repeat { axis: 3, times: 2 }.into(), one());
    for axes in [vec![0, 1, 2], vec![3], vec![1, 2], vec![0, 2], vec![0, 1, 2, 3], vec![1, 3], vec![0]] {
        for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Max] {
            add(Reduce { reduction, axes: axes.clone(), keep: false }.into(), one());
        }
    }
    let index =
        |b: &mut Builder, sample: &[usize], extent: usize| b.leaf(Meaning::Index { classes: extent as u32 }, sample);
    add(Gather { axis: 2 }.into(), Box::new(move |b| vec![b.floats(map), index(b, &[map[0], c], map[1])]));
    add(
        Scatter { axis: 2, extent: 9 }.into(),
        Box::new(move |b| vec![index(b, &[map[0], c], 9), b.floats(&[map[0], c])]),
    );
    add(OneHot {}.into(), Box::new(move |b| vec![index(b, map, 9)]));
    let values: Vec<f32> = (0..whole.iter().product()).map(|i: usize| i as f32).collect();
    add(Constant { values, shape: whole.clone().into() }.into(), Box::new(|_| Vec::new()));
    let image = Meaning::Int { min: 0, max: 255 };
    let (mean, std) = (vec![0.5; c], vec![0.25; c]);
    add(NormalizeImage { mean, std }.into(), Box::new(move |b| vec![b.leaf(image, map)]));
    for (min, max) in [(0, 200), (-300, 300), (-70_000, 70_000), (0, 1 << 40)] {
        let x = Meaning::Int { min, max };
        add(
            Affine { border: None }.into(),
            Box::new(move |b| vec![b.leaf(x, map), b.state(&[c], false), b.state(&[c], false)]),
        );
    }
    add(
        BatchNorm { eps: 1e-5, momentum: 0.1 }.into(),
        Box::new(move |b| {
            let x = b.floats(map);
            [vec![x], b.norm(c, [false, false, false, true]).to_vec()].concat()
        }),
    );
    add(
        BatchNormFused { eps: 1e-5, add: true, relu: true }.into(),
        Box::new(move |b| {
            let (x, other) = (b.floats(map), b.floats(map));
            let [gamma, beta, ..] = b.norm(c, [false, false, false, true]);
            vec![x, gamma, beta, other]
        }),
    );
    let dots = Meaning::Int { min: -600, max: 600 };
    for factors in [1, c] {
        // The order of inputs is that of the op: x, γ and β or a mean, …, α.
        let scaled = move |b: &mut Builder, behind: fn(&mut Builder, &'static [usize], [Value; 4]) -> Vec<Value>| {
            let x = b.leaf(dots, map);
            let vectors = b.norm(c, [false, false, false, true]);
            [vec![x], behind(b, map, vectors), vec![b.state(&[factors], true)]].concat()
        };
        add(
            BatchNorm { eps: 1e-5, momentum: 0.1 }.into(),
            Box::new(move |b| scaled(b, |_, _, vectors| vectors.to_vec())),
        );
        add(
            BatchNormFused { eps: 1e-5, add: true, relu: true }.into(),
            Box::new(move |b| scaled(b, |b, map, [gamma, beta, ..]| vec![gamma, beta, b.floats(map)])),
        );
        add(
            BatchNormGrad { eps: 1e-5 }.into(),
            Box::new(move |b| scaled(b, |b, map, [gamma, mean, _, var]| vec![gamma, mean, var, b.floats(map)])),
        );
    }
    add(
        BatchNormInference { eps: 1e-5 }.into(),
        Box::new(move |b| {
            let x = b.floats(map);
            [vec![x], b.norm(c, [false, false, false, true]).to_vec()].concat()
        }),
    );
    add(
        BatchNormGrad { eps: 1e-5 }.into(),
        Box::new(move |b| {
            let (x, dy) = (b.floats(map), b.floats(map));
            let [gamma, mean, _, variance] = b.norm(c, [false, false, false, true]);
            vec![x, gamma, mean, variance, dy]
        }),
    );
    let scalar = |b: &mut Builder, name: &str| b.graph.add_one(Scalar { name: name.into() }, &[], "").unwrap();
    for momentum in [0.0, 0.9] {
        let sgd = Sgd { momentum, nesterov: true, weight_decay: 0.1, clamp: Some(0.5) };
        add(
            sgd.into(),
            Box::new(move |b| {
                let mut inputs = vec![b.state(map, false), b.state(map, false), scalar(b, "lr")];
                inputs.extend((momentum != 0.0).then(|| b.state(map, false)));
                inputs
            }),
        );
    }
    for (decoupled, amsgrad) in [(false, false), (true, true)] {
        let adam = Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1, clamp: None, decoupled, amsgrad };
        add(
            adam.into(),
            Box::new(move |b| {
                let [w, dw, m, v] = [false, false, false, true].map(|positive| b.state(map, positive));
                let lr = scalar(b, "lr");
                let t = b.graph.add_one(Fill { value: 3.0, shape: [].into() }, &[], "").unwrap();
                let mut inputs = vec![w, dw, lr, t, m, v];
                inputs.extend(amsgrad.then(|| b.state(map, true)));
                inputs
            }),
        );
    }
    add(
        Bop { threshold: 0.3 }.into(),
        Box::new(move |b| {
            let [w, dw] = [b.state(map, false), b.state(map, false)];
            vec![w, dw, scalar(b, "gamma"), b.state(map, false)]
        }),
    );
    let states = move || -> Inputs { Box::new(move |b| vec![b.state(map, false), b.state(map, false)]) };
    add(Assign {}.into(), states());
    add(MovingAverage { decay: 0.9 }.into(), states());
    add(GlobalNorm {}.into(), states());
    add(Clear {}.into(), Box::new(move |b| vec![b.state(map, false)]));
    let logits = |b: &mut Builder| vec![b.floats(&[31]), b.leaf(Meaning::Index { classes: 31 }, &[])];
    add(SoftmaxCrossEntropy { label_smoothing: 0.1 }.into(), Box::new(logits));
    add(
        SoftmaxCrossEntropyGrad { label_smoothing: 0.1 }.into(),
        Box::new(move |b| [logits(b), vec![b.state(&[], false)]].concat()),
    );
    ops
}

#[test]
fn large_tensors_agree_with_the_reference() {
    let mut failures = Vec::new();
    for threads in [1, 3] {
        let cpu = Cpu::new(Some(threads), Isa::detect()).unwrap();
        for map in [&[41, 23, 19], &[13, 9, 130]] {
            for (op, inputs) in ops(map) {
                let mut b = Builder { graph: Graph::new(BATCH), leaves: 0 };
                let inputs = inputs(&mut b);
                for (i, output) in b.graph.add(op.clone(), &inputs, "").unwrap().into_iter().enumerate() {
                    b.graph.set_output(&format!("y{i}"), output);
                }
                // Then with each input in turn where an output may replace it.
                let is_input = |value: &Value| {
                    matches!(b.graph.producer(*value).op, Op::Input(_)) && b.graph.meta(*value).meaning == Meaning::F32
                };
                let copies = inputs.iter().filter(|v| is_input(v)).map(|v| with_copied_leaf(&b.graph, v.index()));
                let tensors = model::inputs(&b.graph, 3);
                let run = |graph: &Graph| {
                    let planned = Planned::new(&cpu, graph, 1).unwrap();
                    planned.write(&tensors, 0);
                    planned.run(&Run::default()).unwrap();
                    planned.read(0)
                };
                let outputs = run(&b.graph);
                for copied in copies {
                    if !same(&run(&copied), &outputs) {
                        failures.push(format!("{op:?} on {map:?}, in place, is not the same"));
                    }
                }
                let case = Case { name: op.name().to_owned(), graph: b.graph.clone(), inputs: tensors.clone() };
                failures.extend(check(&case, &outputs).err().map(|e| format!("{op:?} on {map:?}: {e}")));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
