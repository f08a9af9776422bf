//! Whether a model looks at one image at a time.

use crate::{Graph, GraphError, Node, Op, Value};

/// Checks that no image of a batch has a say in what the model yields for another, so that the frozen program may see them one by one: every value
/// that depends on an input keeps its samples in order on axis 0, and every output is such a value. Norms pass, for in evaluation they use running
/// statistics. Fails with [`GraphError::Shape`], which names the op and the path.
///
/// Extents that do not follow the batch can meet it by chance: a model looks at one image at a time if this holds for batches of two sizes.
pub fn per_image(graph: &Graph) -> Result<(), GraphError> {
    let mut check = PerImage { graph, batched: vec![false; graph.values().len()] };
    for node in graph.nodes() {
        check.node(node)?;
    }
    match graph.outputs().iter().find(|(_, value)| !check.is_batched(*value)) {
        Some((name, value)) => Err(GraphError::Shape {
            op: "output",
            path: graph.producer(*value).path.clone(),
            expected: format!("[{},…] as '{name}' of {0} images", graph.batch()),
            got: graph.meta(*value).to_string(),
        }),
        None => Ok(()),
    }
}

struct PerImage<'g> {
    graph: &'g Graph,
    /// By index of values: whether axis 0 is that of the samples.
    batched: Vec<bool>,
}

impl PerImage<'_> {
    fn is_batched(&self, value: Value) -> bool {
        self.batched[value.index()]
    }

    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let from = |values: &[Value]| values.iter().any(|&value| self.is_batched(value));
        let depends = from(&node.inputs);
        let on_samples = |axis: usize| depends && axis == 0;
        let wrong = match &node.op {
            Op::Input(_) => {
                self.batched[node.outputs[0].index()] = true;
                return Ok(());
            }
            // Without samples, or sample by sample, each input with the samples first.
            Op::Scalar(_)
            | Op::State(_)
            | Op::Fill(_)
            | Op::Constant(_)
            | Op::OneHot(_)
            | Op::NormalizeImage(_)
            | Op::Sign(_)
            | Op::Step(_)
            | Op::SurrogateGrad(_)
            | Op::QuantizeSlope(_)
            | Op::QuantizedSlopeGrad(_)
            | Op::Relu(_)
            | Op::ApplyMask(_)
            | Op::IntervalMask(_)
            | Op::MaxPool2d(_)
            | Op::MaxPool2dIndex(_)
            | Op::MaxPool2dGrad(_)
            | Op::AvgPool2d(_)
            | Op::AvgPool2dGrad(_)
            | Op::Dropout(_)
            | Op::Unary(_)
            | Op::Clamp(_)
            | Op::Quantize(_)
            | Op::RoundHalf(_)
            | Op::StopGradient(_) => None,
            // Axes are matched from the last, so the samples stay first where the ranks are equal.
            Op::Arithmetic(_) | Op::Compare(_) | Op::Select(_) | Op::BroadcastTo(_) => {
                let rank = self.graph.meta(node.outputs[0]).shape.len();
                let stretched = |v: &&Value| self.is_batched(**v) && self.graph.meta(**v).shape.len() != rank;
                node.inputs.iter().find(stretched).map(|&v| {
                    format!("{} stretched to rank {rank}, which takes its samples to another axis", self.graph.meta(v))
                })
            }
            // Only what comes first has samples; the rest are weights.
            Op::Conv2d(_)
            | Op::Conv2dGradInput(_)
            | Op::BinaryConv2d(_)
            | Op::BinaryConv2dGradInput(_)
            | Op::BatchNorm(_)
            | Op::BatchNormInference(_)
            | Op::Prelu(_)
            | Op::Affine(_)
            | Op::ImageConv2d(_)
            | Op::TernaryConv2d(_)
            | Op::TernaryConv2dGradInput(_) => {
                from(&node.inputs[1..]).then(|| "weights that depend on the images".to_owned())
            }
            // Two maps, then constants.
            Op::TernaryAffine(_) => from(&node.inputs[2..]).then(|| "constants that depend on the images".to_owned()),
            Op::Matmul(matmul) => {
                if from(&node.inputs[1..]) {
                    Some("a right operand that depends on the images".to_owned())
                } else {
                    (depends && matmul.transpose_a).then(|| "a left operand with its samples transposed".to_owned())
                }
            }
            Op::Transpose(transpose) => (depends && transpose.permutation.first() != Some(&0))
                .then(|| "a transposition that moves axis 0, the batch".to_owned()),
            Op::Reshape(_) => {
                let shape = &self.graph.meta(node.outputs[0]).shape;
                (depends && shape.first() != Some(&self.graph.batch()))
                    .then(|| format!("{shape}, which does not keep axis 0, the batch"))
            }
            Op::Slice(slice) => on_axis_0(on_samples(slice.axis)),
            Op::PadAxis(pad) => on_axis_0(on_samples(pad.axis)),
            Op::Concat(concat) => on_axis_0(on_samples(concat.axis)),
            Op::Repeat(repeat) => on_axis_0(on_samples(repeat.axis)),
            Op::Gather(gather) => on_axis_0(on_samples(gather.axis)),
            Op::Scatter(scatter) => on_axis_0(on_samples(scatter.axis)),
            Op::Reduce(reduce) => on_axis_0(depends && reduce.axes.contains(&0)),
            Op::Conv2dGradWeight(_)
            | Op::BinarizeWeight(_)
            | Op::TernarizeWeight(_)
            | Op::TernarizeWeightGrad(_)
            | Op::BinaryConv2dGradWeight(_)
            | Op::BatchNormFused(_)
            | Op::BatchNormGrad(_)
            | Op::UpdateStatistics(_)
            | Op::SoftmaxCrossEntropy(_)
            | Op::SoftmaxCrossEntropyGrad(_)
            | Op::CountCorrect(_)
            | Op::Finite(_)
            | Op::GlobalNorm(_)
            | Op::Sgd(_)
            | Op::Adam(_)
            | Op::Bop(_)
            | Op::Increment(_)
            | Op::Assign(_)
            | Op::Clear(_)
            | Op::MovingAverage(_)
            | Op::FoldAffine(_)
            | Op::FoldStem(_)
            | Op::QuantizeWeight(_)
            | Op::Dequantize(_)
            | Op::Fused(_) => depends.then(|| "an op that looks at all images of the batch together".to_owned()),
        };
        if let Some(got) = wrong {
            return Err(GraphError::Shape {
                op: node.op.name(),
                path: node.path.clone(),
                expected: "what looks at each image alone, as a frozen network sees one image at a time".to_owned(),
                got,
            });
        }
        // The statistics of a batch, which evaluation replaces, are its other outputs.
        let norm = matches!(node.op, Op::BatchNorm(_));
        for (i, output) in node.outputs.iter().enumerate() {
            self.batched[output.index()] = depends && !(norm && i > 0);
        }
        Ok(())
    }
}

fn on_axis_0(wrong: bool) -> Option<String> {
    wrong.then(|| "axis 0, the batch".to_owned())
}
