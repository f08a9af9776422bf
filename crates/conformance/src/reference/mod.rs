//! A slow, obvious interpreter of graphs in f64.
//!
//! Floats are not rounded to f32 on the way, except where a rounding is part of an op's meaning (frozen affines, folded constants,
//! scaled binary convolutions): there it happens exactly as the op's documentation says.

mod batch_norm;
mod binary;
mod conv2d;
mod elementwise;
mod frozen;
mod fused;
mod layout;
mod loss;
mod optimizer;
mod pool2d;
mod product;
mod terms;
mod ternary;

use std::collections::BTreeMap;

use binary_nets_graph::ops::Dropout;
use binary_nets_graph::{Graph, Op, Shape, Value, ValueMeta};
use thiserror::Error;

use crate::Tensor;
pub use terms::{classes, terms};

/// What random ops depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Randomness {
    /// The seed of the network.
    pub seed: u64,
    /// The step, counted from 0.
    pub step: u64,
}

/// Everything that a graph computes.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// Every value, by [`Value::index`].
    pub values: Vec<Tensor>,
    /// The new contents of the states that ops write in place, by path.
    pub states: BTreeMap<String, Tensor>,
}

impl Evaluation {
    /// One value.
    pub fn value(&self, value: Value) -> &Tensor {
        &self.values[value.index()]
    }
}

/// Why a graph could not be evaluated.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReferenceError {
    /// A leaf of the graph was not given.
    #[error("{kind} '{name}' is missing")]
    Missing {
        /// `input`, `scalar` or `state`.
        kind: &'static str,
        /// Its name or path.
        name: String,
    },
    /// A leaf has another shape in the graph.
    #[error("{kind} '{name}': expected {expected}, got {got}")]
    Shape {
        /// `input`, `scalar` or `state`.
        kind: &'static str,
        /// Its name or path.
        name: String,
        /// The shape in the graph.
        expected: Shape,
        /// The shape that was given.
        got: Shape,
    },
}

/// Evaluates every node of a graph. `given` holds inputs by name, states by path and scalars by name.
///
/// Ops that write state run after all others, in their order in the graph, each seeing what those before it wrote.
///
/// # Panics
///
/// When the reference itself is wrong about a shape.
pub fn evaluate(
    graph: &Graph,
    given: &BTreeMap<String, Tensor>,
    randomness: Randomness,
) -> Result<Evaluation, ReferenceError> {
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values().len()];
    for node in graph.nodes().iter().filter(|node| node.op.writes().is_empty()) {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|&v| defined(&values, v)).collect();
        let shapes: Vec<&Shape> = node.outputs.iter().map(|&v| &graph.meta(v).shape).collect();
        let outputs = match &node.op {
            Op::Fused(op) => {
                let metas: Vec<&ValueMeta> = node.inputs.iter().map(|&v| graph.meta(v)).collect();
                fused::evaluate(op, &metas, &inputs, randomness)?
            }
            op => apply(op, &inputs, &shapes, given, randomness)?,
        };
        for (&value, output) in node.outputs.iter().zip(outputs) {
            assert_eq!(output.shape, graph.meta(value).shape, "output of {} at '{}'", node.op.name(), node.path);
            values[value.index()] = Some(output);
        }
    }
    let mut states: BTreeMap<String, Tensor> = BTreeMap::new();
    for node in graph.nodes().iter().filter(|node| !node.op.writes().is_empty()) {
        let path_of = |v: Value| match &graph.producer(v).op {
            Op::State(state) => Some(&state.path),
            _ => None,
        };
        let current = |&v: &Value| path_of(v).and_then(|path| states.get(path)).unwrap_or_else(|| defined(&values, v));
        let inputs: Vec<&Tensor> = node.inputs.iter().map(current).collect();
        let contents = apply(&node.op, &inputs, &[], given, randomness)?;
        for (&position, content) in node.op.writes().iter().zip(contents) {
            let path = path_of(node.inputs[position]).expect("ops write state only");
            states.insert(path.clone(), content);
        }
    }
    let values = values.into_iter().map(|v| v.expect("nodes that write define no values")).collect();
    Ok(Evaluation { values, states })
}

fn defined(values: &[Option<Tensor>], value: Value) -> &Tensor {
    values[value.index()].as_ref().expect("nodes stand in order of definition")
}

/// The outputs of one op or, of an op that writes, the new contents of what it writes.
fn apply(
    op: &Op,
    inputs: &[&Tensor],
    shapes: &[&Shape],
    given: &BTreeMap<String, Tensor>,
    randomness: Randomness,
) -> Result<Vec<Tensor>, ReferenceError> {
    Ok(match op {
        Op::Input(op) => vec![leaf("input", &op.name, shapes[0], given)?],
        Op::Scalar(op) => vec![leaf("scalar", &op.name, shapes[0], given)?],
        Op::State(op) => vec![leaf("state", &op.path, shapes[0], given)?],
        Op::Fill(op) => vec![Tensor::full(shapes[0], f64::from(op.value))],
        Op::Constant(op) => vec![Tensor::new(op.shape.clone(), op.values.iter().map(|&x| f64::from(x)).collect())],
        Op::NormalizeImage(op) => vec![elementwise::normalize_image(op, inputs[0])],
        Op::Conv2d(op) => vec![conv2d::forward(&op.window, inputs[0], inputs[1], 0.0, shapes[0])],
        Op::Conv2dGradInput(op) => vec![conv2d::grad_input(&op.window, inputs[0], inputs[1], shapes[0])],
        Op::Conv2dGradWeight(op) => vec![conv2d::grad_weight(&op.window, inputs[0], inputs[1], 0.0, shapes[0])],
        Op::Sign(_) => vec![inputs[0].map(binary::sign)],
        Op::Step(_) => vec![inputs[0].map(binary::step)],
        Op::SurrogateGrad(op) => vec![inputs[0].zip(inputs[1], |x, dy| dy * binary::surrogate(op.gradient, x))],
        Op::QuantizeSlope(op) => vec![inputs[0].map(|x| binary::quantized_slope(op.gradient, x))],
        Op::QuantizedSlopeGrad(op) => {
            let (unit, zero) = op.gradient.unit_and_zero();
            let (unit, zero) = (f64::from(unit), f64::from(zero));
            vec![inputs[0].zip(inputs[1], |slope, dy| dy * (slope - zero) * unit)]
        }
        Op::BinarizeWeight(op) => binary::binarize_weight(op, inputs[0], shapes[0]),
        Op::BinaryConv2d(op) => vec![binary::conv2d(op, inputs, shapes[0])],
        Op::BinaryConv2dGradInput(op) => {
            vec![binary::grad_input(op, inputs, shapes[0], randomness)]
        }
        Op::BinaryConv2dGradWeight(op) => {
            vec![binary::grad_weight(op, inputs, shapes[0], randomness)]
        }
        Op::TernarizeWeight(op) => ternary::ternarize_weight(op, inputs[0], shapes[0]),
        Op::TernarizeWeightGrad(op) => ternary::ternarize_weight_grad(op, inputs),
        Op::TernaryConv2d(op) => ternary::conv2d(op, inputs, shapes[0]),
        Op::TernaryConv2dGradInput(op) => vec![ternary::grad_input(op, inputs, shapes[0], randomness)],
        Op::BatchNorm(op) => batch_norm::forward(op, inputs),
        Op::BatchNormFused(op) => batch_norm::fused(op, inputs),
        Op::BatchNormGrad(op) => batch_norm::grad(op, inputs),
        Op::BatchNormInference(op) => {
            vec![batch_norm::normalize(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], op.eps)]
        }
        Op::UpdateStatistics(op) => batch_norm::update(op, inputs, randomness.step),
        Op::Relu(_) => vec![inputs[0].map(|x| x.max(0.0))],
        Op::Prelu(_) => vec![elementwise::prelu(inputs[0], inputs[1])],
        Op::ApplyMask(op) => {
            vec![elementwise::apply_mask(op, inputs[0], inputs[1])]
        }
        Op::IntervalMask(op) => {
            vec![elementwise::interval_mask(op, inputs[0], shapes[0])]
        }
        Op::MaxPool2d(op) => vec![pool2d::max(&op.window, inputs[0], shapes[0])],
        Op::MaxPool2dIndex(op) => {
            vec![pool2d::max(&op.window, inputs[0], shapes[0]), pool2d::max_index(&op.window, inputs[0], shapes[1])]
        }
        Op::MaxPool2dGrad(op) => vec![pool2d::max_grad(&op.window, inputs[0], inputs[1], shapes[0])],
        Op::AvgPool2d(op) => vec![pool2d::average(&op.window, inputs[0], shapes[0])],
        Op::AvgPool2dGrad(op) => vec![pool2d::average_grad(&op.window, inputs[0], shapes[0])],
        Op::Dropout(op) => dropout(op, inputs[0], randomness),
        Op::SoftmaxCrossEntropy(op) => vec![loss::softmax_cross_entropy(op, inputs[0], inputs[1])],
        Op::SoftmaxCrossEntropyGrad(op) => vec![loss::softmax_cross_entropy_grad(op, inputs[0], inputs[1], inputs[2])],
        Op::Finite(_) => {
            let finite = inputs.iter().all(|x| x.data.iter().all(|x| x.is_finite()));
            vec![Tensor::number(f64::from(u8::from(finite)))]
        }
        Op::GlobalNorm(_) => {
            let squares = inputs.iter().flat_map(|x| &x.data).map(|x| x * x);
            vec![Tensor::number(squares.sum::<f64>().sqrt())]
        }
        Op::CountCorrect(op) => vec![loss::count_correct(op, inputs[0], inputs[1])],
        Op::Matmul(op) => vec![product::matmul(op, inputs[0], inputs[1], shapes[0])],
        Op::Arithmetic(op) => vec![elementwise::arithmetic(op.function, inputs[0], inputs[1], shapes[0])],
        Op::Unary(op) => vec![inputs[0].map(|x| elementwise::unary(op.function, x))],
        Op::Clamp(op) => vec![inputs[0].map(|x| x.max(f64::from(op.min)).min(f64::from(op.max)))],
        Op::Compare(op) => vec![elementwise::compare(op.comparison, inputs[0], inputs[1], shapes[0])],
        Op::Select(_) => vec![elementwise::select(inputs[0], inputs[1], inputs[2])],
        Op::Transpose(op) => vec![layout::transpose(op, inputs[0], shapes[0])],
        Op::Reshape(_) => vec![Tensor::new(shapes[0].clone(), inputs[0].data.clone())],
        Op::Slice(op) => vec![layout::slice(op, inputs[0], shapes[0])],
        Op::PadAxis(op) => vec![layout::pad_axis(op, inputs[0], shapes[0])],
        Op::Concat(op) => vec![layout::concat(op, inputs, shapes[0])],
        Op::Repeat(op) => vec![layout::repeat(op, inputs[0], shapes[0])],
        Op::BroadcastTo(_) => vec![Tensor::from_fn(shapes[0], |p| inputs[0].stretched(p))],
        Op::Reduce(op) => vec![product::reduce(op, inputs[0], shapes[0])],
        Op::OneHot(_) => vec![layout::one_hot(inputs[0], shapes[0])],
        Op::Gather(op) => vec![layout::gather(op, inputs[0], inputs[1], shapes[0])],
        Op::Scatter(op) => vec![layout::scatter(op, inputs[0], inputs[1], shapes[0])],
        Op::StopGradient(_) => vec![inputs[0].clone()],
        Op::Sgd(op) => optimizer::sgd(op, inputs),
        Op::Adam(op) => optimizer::adam(op, inputs),
        Op::Bop(op) => optimizer::bop(op, inputs),
        Op::Increment(_) => vec![inputs[0].map(|x| x + 1.0)],
        Op::Assign(_) => vec![inputs[1].clone()],
        Op::Clear(_) => vec![inputs[0].map(|_| 0.0)],
        Op::MovingAverage(op) => {
            vec![inputs[0].zip(inputs[1], |average, x| op.decay * average + (1.0 - op.decay) * x)]
        }
        Op::FoldAffine(op) => frozen::fold_affine(op, inputs),
        Op::Affine(op) => vec![frozen::affine(op, inputs[0], inputs[1], inputs[2])],
        Op::TernaryAffine(_) => vec![frozen::ternary_affine(inputs)],
        Op::FoldStem(op) => frozen::fold_stem(op, inputs, shapes),
        Op::ImageConv2d(op) => vec![frozen::image_conv2d(op, inputs[0], inputs[1], shapes[0])],
        Op::Quantize(op) => vec![frozen::quantize(op, inputs[0], shapes[0])],
        Op::RoundHalf(_) => vec![inputs[0].map(frozen::half)],
        Op::QuantizeWeight(op) => frozen::quantize_weight(op.axis, inputs[0], shapes[1]),
        Op::Dequantize(op) => vec![frozen::dequantize(op.axis, inputs[0], inputs[1])],
        Op::Fused(_) => panic!("a body is evaluated op by op"),
    })
}

fn leaf(
    kind: &'static str,
    name: &str,
    shape: &Shape,
    given: &BTreeMap<String, Tensor>,
) -> Result<Tensor, ReferenceError> {
    let tensor = given.get(name).ok_or_else(|| ReferenceError::Missing { kind, name: name.to_owned() })?;
    if tensor.shape == *shape {
        Ok(tensor.clone())
    } else {
        Err(ReferenceError::Shape { kind, name: name.to_owned(), expected: shape.clone(), got: tensor.shape.clone() })
    }
}

fn dropout(op: &Dropout, x: &Tensor, randomness: Randomness) -> Vec<Tensor> {
    let passes = |index: usize| op.passes(randomness.seed, randomness.step, index as u64);
    let mask: Vec<f64> = (0..x.data.len()).map(|i| f64::from(u8::from(passes(i)))).collect();
    let mask = Tensor::new(x.shape.clone(), mask);
    vec![x.zip(&mask, |x, bit| f64::from(op.scale()) * x * bit), mask]
}

/// The nearest f32.
fn round(x: f64) -> f64 {
    f64::from(x as f32)
}
