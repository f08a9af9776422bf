//! From a frozen network to an ONNX model.

mod bits;
mod constants;
mod elementwise;
mod extents;
mod products;
mod quantized;
mod stem;
mod writer;

use std::collections::BTreeMap;

use binary_nets_graph::ops::Border;
use binary_nets_graph::{Graph, Meaning, Node, Op, Value};
use prost::Message;

use super::axes::{channels_first, inverse, permuted_shape};
use super::proto::{
    DataType, DimensionProto, GraphProto, IR_VERSION, ModelProto, OPSET, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::shapes;
use crate::FormatError;
use crate::model::{Constant, Model, Normalize};
use writer::Writer;

/// How binary weights are kept in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One int8 a weight, behind `DequantizeLinear`: for every runtime.
    Portable,
    /// One bit a weight, unpacked by standard operators: an eighth of that, for runtimes that fold constants.
    Compact,
}

/// The extent that stands for the batch while shapes are checked; files say `batch`.
const SAMPLES: usize = 2;

/// The name of the extent in files.
const BATCH: &str = "batch";

/// Writes a frozen network as an ONNX model of opset 18: uint8 pixels `[batch, height, width, channels]` in, the graph's named outputs out, channels-last.
///
/// Refuses ops that ONNX has nothing for, constants that are missing, and its own output where an inference of its shapes that knows ONNX alone does not
/// find those of the graph.
pub fn export(model: &Model, form: Form) -> Result<Vec<u8>, FormatError> {
    let graph = model.graph.graph(SAMPLES, &[]).map_err(|error| FormatError::OnnxExport {
        op: "graph",
        path: String::new(),
        reason: error.to_string(),
    })?;
    let mut exporter = Exporter {
        graph: &graph,
        form,
        constants: model.constants.iter().map(|constant| (constant.path.as_str(), constant)).collect(),
        normalize: model.metadata.normalize.as_ref(),
        writer: Writer::default(),
        values: Vec::new(),
        unpacked: BTreeMap::new(),
        placed: BTreeMap::new(),
        normalized: BTreeMap::new(),
        inputs: Vec::new(),
        expected: Vec::new(),
        op: "graph",
        path: "",
    };
    // Outputs and inputs have the names that callers know; everything else goes round them.
    for (name, _) in graph.outputs() {
        exporter.writer.name(name);
    }
    for node in graph.nodes() {
        (exporter.op, exporter.path) = (node.op.name(), &node.path);
        let values = exporter.node(node)?;
        for (value, &output) in values.iter().zip(&node.outputs) {
            if let Exported::Map(name) | Exported::Mask(name) = value {
                let shape = &graph.meta(output).shape;
                exporter.expect(name, permuted_shape(shape, &channels_first(shape.len())));
            }
        }
        exporter.values.extend(values);
    }
    exporter.finish(model)
}

/// What a value of the graph is in the model.
enum Exported<'m> {
    /// A constant that is written where somebody reads it, in the extents that they need.
    Stored(&'m Constant),
    /// Numbers that stand in the graph itself.
    Literal(Vec<f32>),
    /// Weights of 8 bits, and a scale for each index of an axis.
    Quantized { q: Value, scales: Value, axis: usize },
    /// uint8 pixels, channels-last.
    Pixels(String),
    /// A map of bytes as floats, channels-first, from which the byte that stands for 0 is taken away.
    Bytes { name: String, zero: u8 },
    /// The integers of a convolution of pixels or bytes, which only have a meaning with the affine behind them.
    Integers { bytes: Value, weights: Value, border: Border },
    /// Floats, channels-first.
    Map(String),
    /// Truth values, channels-first.
    Mask(String),
}

/// An export under way.
struct Exporter<'m> {
    graph: &'m Graph,
    form: Form,
    constants: BTreeMap<&'m str, &'m Constant>,
    normalize: Option<&'m Normalize>,
    writer: Writer,
    /// By index of the graph's values.
    values: Vec<Exported<'m>>,
    /// Weight bits that are floats already.
    unpacked: BTreeMap<Value, String>,
    /// Constants as they have been written, by extents.
    placed: BTreeMap<(Value, Vec<usize>), String>,
    /// Images of which pixels have been made channels-first and normalised, by the pixels' name and all means and deviations.
    normalized: BTreeMap<String, String>,
    inputs: Vec<ValueInfoProto>,
    /// The shapes that values of the model should have.
    expected: Vec<(String, Vec<usize>, &'static str, &'m str)>,
    /// Of the node at hand, for messages.
    op: &'static str,
    path: &'m str,
}

impl<'m> Exporter<'m> {
    fn refuse(&self, reason: impl Into<String>) -> FormatError {
        FormatError::OnnxExport { op: self.op, path: self.path.to_owned(), reason: reason.into() }
    }

    /// Remembers which shape a value of the model should have.
    fn expect(&mut self, name: &str, shape: Vec<usize>) {
        self.expected.push((name.to_owned(), shape, self.op, self.path));
    }

    /// The extents of a value of the graph.
    fn shape(&self, value: Value) -> &'m [usize] {
        &self.graph.meta(value).shape
    }

    fn node(&mut self, node: &'m Node) -> Result<Vec<Exported<'m>>, FormatError> {
        let inputs = &node.inputs[..];
        let y = node.outputs.first().map_or(&[][..], |&y| self.shape(y));
        let map = match &node.op {
            Op::Input(input) => return Ok(vec![self.input(&input.name, &input.shape, input.meaning)?]),
            Op::State(state) => {
                let constant = self.constants.get(state.path.as_str()).copied();
                return match constant {
                    Some(constant) if constant.meta == *self.graph.meta(node.outputs[0]) => {
                        Ok(vec![Exported::Stored(constant)])
                    }
                    Some(constant) => Err(self.refuse(format!("its constant is {}", constant.meta))),
                    None => Err(self.refuse(format!("the constant '{}' is missing", state.path))),
                };
            }
            Op::Fill(fill) => return Ok(vec![Exported::Literal(vec![fill.value; fill.shape.elements()])]),
            Op::Constant(constant) => return Ok(vec![Exported::Literal(constant.values.clone())]),
            Op::ImageConv2d(conv) => {
                return Ok(vec![Exported::Integers { bytes: inputs[0], weights: inputs[1], border: conv.border }]);
            }
            Op::Quantize(op) => {
                let name = self.quantize(op, inputs[0])?;
                self.expect(&name, permuted_shape(y, &channels_first(y.len())));
                return Ok(vec![Exported::Bytes { name, zero: op.zero }]);
            }
            Op::Dequantize(op) => {
                return Ok(vec![Exported::Quantized { q: inputs[0], scales: inputs[1], axis: op.axis }]);
            }
            Op::NormalizeImage(op) => self.normalize_image(inputs[0], &op.mean, &op.std)?,
            Op::Affine(affine) => self.affine(affine.border, inputs)?,
            Op::TernaryAffine(_) => self.ternary_affine(inputs)?,
            Op::Sign(_) => {
                let x = self.map(inputs[0])?;
                self.sign(&x)
            }
            Op::Step(_) => {
                let x = self.map(inputs[0])?;
                self.step(&x)
            }
            Op::BinaryConv2d(conv) => self.binary_conv2d(conv, inputs)?,
            Op::TernaryConv2d(conv) => {
                return Ok(self.ternary_conv2d(conv, inputs)?.into_iter().map(Exported::Map).collect());
            }
            Op::Conv2d(conv) => self.conv2d(conv, inputs)?,
            Op::Matmul(matmul) => self.matmul(matmul, inputs)?,
            Op::Relu(_) => self.simple("Relu", inputs)?,
            Op::Prelu(_) => self.prelu(inputs)?,
            Op::MaxPool2d(pool) => self.max_pool2d(pool, inputs[0])?,
            Op::AvgPool2d(pool) => self.avg_pool2d(pool, inputs[0], y)?,
            Op::Arithmetic(op) => self.arithmetic(op.function, inputs, y.len())?,
            Op::Unary(op) => self.unary(op.function, inputs)?,
            Op::Clamp(clamp) => self.clamp(clamp, inputs[0])?,
            Op::Compare(op) => {
                return Ok(vec![Exported::Mask(self.compare(op.comparison, inputs, y.len())?)]);
            }
            Op::Select(_) => self.select(inputs, y.len())?,
            Op::Transpose(op) => self.transpose(&op.permutation, inputs[0])?,
            Op::Reshape(_) => self.reshape(inputs[0], y)?,
            Op::Slice(slice) => self.slice(slice, inputs[0])?,
            Op::PadAxis(pad) => self.pad_axis(pad, inputs[0])?,
            Op::Concat(concat) => self.concat(concat.axis, inputs, y.len())?,
            Op::Repeat(repeat) => self.repeat(repeat, inputs[0])?,
            Op::BroadcastTo(_) => self.broadcast(inputs[0], y)?,
            Op::Reduce(reduce) => self.reduce(reduce, inputs[0])?,
            Op::StopGradient(_) => self.map(inputs[0])?,
            Op::Scalar(_)
            | Op::BinarizeWeight(_)
            | Op::TernarizeWeight(_)
            | Op::BatchNormInference(_)
            | Op::FoldAffine(_)
            | Op::FoldStem(_)
            | Op::RoundHalf(_)
            | Op::QuantizeWeight(_)
            | Op::Fused(_) => return Err(self.refuse("it is not folded into constants")),
            Op::OneHot(_) | Op::Gather(_) | Op::Scatter(_) | Op::MaxPool2dIndex(_) => {
                return Err(self.refuse("indices are not written"));
            }
            Op::Conv2dGradInput(_)
            | Op::Conv2dGradWeight(_)
            | Op::SurrogateGrad(_)
            | Op::QuantizeSlope(_)
            | Op::QuantizedSlopeGrad(_)
            | Op::BinaryConv2dGradInput(_)
            | Op::BinaryConv2dGradWeight(_)
            | Op::TernarizeWeightGrad(_)
            | Op::TernaryConv2dGradInput(_)
            | Op::BatchNorm(_)
            | Op::BatchNormFused(_)
            | Op::BatchNormGrad(_)
            | Op::UpdateStatistics(_)
            | Op::ApplyMask(_)
            | Op::IntervalMask(_)
            | Op::MaxPool2dGrad(_)
            | Op::AvgPool2dGrad(_)
            | Op::Dropout(_)
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
            | Op::MovingAverage(_) => return Err(self.refuse("it is an op of training")),
        };
        Ok(vec![Exported::Map(map)])
    }

    /// The pixels, as they come: nobody can normalise them wrongly.
    fn input(&mut self, name: &str, shape: &[usize], meaning: Meaning) -> Result<Exported<'m>, FormatError> {
        if meaning != (Meaning::Int { min: 0, max: 255 }) || shape.len() != 3 {
            return Err(self.refuse("only images of uint8 pixels are read"));
        }
        let known = self.writer.name(name);
        if known != name {
            return Err(self.refuse(format!("an output is called '{name}' as well")));
        }
        self.inputs.push(info(name, DataType::Uint8, [SAMPLES].iter().chain(shape)));
        Ok(Exported::Pixels(known))
    }

    /// A node without attributes that takes maps.
    fn simple(&mut self, op: &str, inputs: &[Value]) -> Result<String, FormatError> {
        let inputs = inputs.iter().map(|&input| self.map(input)).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(self.writer.node(op, self.path, &inputs, Vec::new()))
    }

    /// Names the outputs, checks all shapes, and writes the file.
    fn finish(mut self, model: &Model) -> Result<Vec<u8>, FormatError> {
        let mut outputs = Vec::new();
        for (name, value) in self.graph.outputs() {
            let producer = self.graph.producer(*value);
            (self.op, self.path) = (producer.op.name(), &producer.path);
            let (x, shape) = (self.map(*value)?, self.shape(*value));
            let order = inverse(&channels_first(shape.len()));
            if order.is_sorted() {
                self.writer.named_node("Identity", name, &[&x], Vec::new());
            } else {
                let perm = super::proto::AttributeProto::ints("perm", order);
                self.writer.named_node("Transpose", name, &[&x], vec![perm]);
            }
            self.expect(name, shape.to_vec());
            if shape.first() != Some(&SAMPLES) {
                return Err(self.refuse(format!("the output '{name}' does not have the batch as its first axis")));
            }
            outputs.push(info(name, DataType::Float, shape.iter()));
        }
        let graph = GraphProto {
            node: self.writer.nodes,
            name: "binary-nets".to_owned(),
            initializer: self.writer.initializers,
            input: self.inputs,
            output: outputs,
        };
        let found = shapes::infer(&graph, SAMPLES)?;
        for (name, shape, op, path) in &self.expected {
            if found.get(name) != Some(shape) {
                let reason = format!("'{name}' should be of shape {shape:?}, but ONNX makes it {:?}", found.get(name));
                return Err(FormatError::OnnxExport { op, path: (*path).to_owned(), reason });
            }
        }
        let file = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "binary-nets".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            metadata_props: metadata(model)?,
        };
        Ok(file.encode_to_vec())
    }
}

/// Our metadata for ourselves, and the parts that others will want to read on their own.
fn metadata(model: &Model) -> Result<Vec<StringStringEntryProto>, FormatError> {
    fn json<T: serde::Serialize>(key: &str, value: &T) -> Result<StringStringEntryProto, FormatError> {
        let value = serde_json::to_string(value).map_err(|error| FormatError::OnnxExport {
            op: "metadata",
            path: key.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(StringStringEntryProto { key: key.to_owned(), value })
    }
    let mut entries = vec![json("binary_nets", &model.metadata)?];
    if let Some(classes) = &model.metadata.classes {
        entries.push(json("classes", classes)?);
    }
    if let Some(Normalize { mean, std }) = &model.metadata.normalize {
        entries.extend([json("normalize_mean", mean)?, json("normalize_std", std)?]);
    }
    Ok(entries)
}

/// An input or output whose first axis is the batch.
fn info<'s>(name: &str, data_type: DataType, shape: impl Iterator<Item = &'s usize>) -> ValueInfoProto {
    let dim = shape.enumerate().map(|(axis, &extent)| match axis {
        0 => DimensionProto { dim_value: None, dim_param: Some(BATCH.to_owned()) },
        _ => DimensionProto { dim_value: Some(extent as i64), dim_param: None },
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: data_type as i32, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}
