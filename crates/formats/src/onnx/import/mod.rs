//! From an ONNX model to an evaluation graph.

mod codes;
mod constant;
mod elementwise;
mod extents;
mod fold;
mod image;
mod node;
mod products;
mod range;
mod term;
mod ternary;
mod weights;
mod windows;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use binary_nets_graph::ops::{State, StateKind};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Init, Meaning, Op, Value, passes};
use prost::Message;

use super::axes::channels_first;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::budget::Budget;
use crate::model::{Metadata, Normalize, graph as model_graph};
use crate::{FormatError, Tensor};
use constant::{Constant, Numbers};
use image::ImageInput;
use node::{Node, Refusal, Result, short};
use range::Range;
use term::{Map, Term};

/// A model of another library as one of ours: a graph for evaluation, and what its states hold.
#[derive(Clone, PartialEq, Debug)]
pub struct Imported {
    /// From uint8 pixels to named outputs.
    pub spec: GraphSpec,
    /// The states of the graph.
    pub states: Vec<Tensor>,
    /// What the file says of itself, and the normalisation that the graph does.
    pub metadata: Metadata,
}

/// The batch that a model is read for where it takes any.
const SAMPLES: usize = 2;

/// The most nodes of a model: what is done with graphs takes time by the square of them.
const MOST_NODES: usize = 20_000;

/// The oldest version of the standard operators whose meaning is the one that is read.
const OLDEST_OPSET: i64 = 7;

/// Reads an ONNX model. What a model that takes floats was given for pixels is what `normalize` says, or else the file's metadata.
///
/// Whatever is not understood is refused by the node that does it. The memory is at most a fixed multiple of the file's size, each bit of which may become
/// a float.
pub fn import(file: &[u8], normalize: Option<Normalize>) -> std::result::Result<Imported, FormatError> {
    let mut budget = Budget::of_bits(file.len());
    wire::spend(file, &mut budget)?;
    let broken = |reason: String| FormatError::OnnxFile { reason };
    let model = ModelProto::decode(file).map_err(|error| broken(error.to_string()))?;
    let graph = model.graph.ok_or_else(|| broken("it has no graph".to_owned()))?;
    let opset = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    match opset.map(|set| set.version) {
        Some(version) if version >= OLDEST_OPSET => {}
        Some(version) => {
            return Err(broken(format!("it is of opset {version}, only those from {OLDEST_OPSET} on are read")));
        }
        None => return Err(broken("it does not say of which opset it is".to_owned())),
    }

    if graph.node.len() > MOST_NODES {
        return Err(broken(format!("it has {} nodes, at most {MOST_NODES} are read", graph.node.len())));
    }

    let property = |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let own = property("binary_nets").and_then(|json| serde_json::from_str::<Metadata>(json).ok());
    let is_ours = own.is_some();
    let mut metadata = own.unwrap_or_else(|| Metadata {
        classes: property("classes").and_then(|json| serde_json::from_str(json).ok()),
        normalize: property("normalize_mean").zip(property("normalize_std")).and_then(|(mean, std)| {
            Some(Normalize { mean: serde_json::from_str(mean).ok()?, std: serde_json::from_str(std).ok()? })
        }),
        ..Metadata::default()
    });

    let stored: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph.input.iter().filter(|input| !stored.contains(input.name.as_str()));
    let info = image::only(inputs).map_err(broken)?;
    let is_given = normalize.is_some();
    let known = normalize.or_else(|| metadata.normalize.clone());
    if let Some(Normalize { mean, std }) = known.as_ref().filter(|known| known.mean.len() != known.std.len()) {
        return Err(broken(format!("{} means do not go with {} standard deviations", mean.len(), std.len())));
    }
    let at_input = || format!("input '{}'", short(&info.name));
    let input = ImageInput::new(info, known.as_ref()).map_err(|refusal| refusal.at(at_input()))?;
    let mut importer = Importer {
        graph: Graph::new(input.batch.unwrap_or(SAMPLES)),
        budget,
        is_ours,
        normalize: known,
        terms: HashMap::new(),
        states: BTreeMap::new(),
        namesakes: HashMap::new(),
        path: String::new(),
        bits: HashMap::new(),
        images: Vec::new(),
        ranges: Vec::new(),
    };
    let pixels = importer.input(&input, is_given).map_err(|refusal| refusal.at(at_input()))?;
    importer.terms.insert(input.name.clone(), pixels);
    importer.read(&graph)?;
    metadata.normalize = importer.images.first().map(|(normalize, _, _)| normalize.clone());
    importer.finish(&graph, metadata)
}

/// An import under way.
struct Importer {
    graph: Graph,
    budget: Budget,
    /// Whether we wrote the file.
    is_ours: bool,
    /// How pixels become the floats that the model takes.
    normalize: Option<Normalize>,
    /// What the values of the model are.
    terms: HashMap<String, Term>,
    /// By path.
    states: BTreeMap<String, Tensor>,
    /// How many states were to have a path.
    namesakes: HashMap<String, usize>,
    /// Of the node at hand.
    path: String,
    /// Codes that are bits already: of what, of its negative or not, 0/1 or not, in how many groups.
    bits: HashMap<(Value, bool, bool, usize), Value>,
    /// Normalised images: how, of which pixels.
    images: Vec<(Normalize, Value, Value)>,
    /// Of values, by index, so far as somebody asked.
    ranges: Vec<Range>,
}

impl Importer {
    /// Reads constants and then all nodes, in their order.
    fn read(&mut self, graph: &GraphProto) -> std::result::Result<(), FormatError> {
        for tensor in &graph.initializer {
            self.initializer(tensor).map_err(|refusal| refusal.at(format!("constant '{}'", short(&tensor.name))))?;
        }
        for proto in &graph.node {
            let node = Node { proto };
            self.path = node.path();
            self.node(&node).map_err(|refusal| refusal.at(node.described()))?;
        }
        Ok(())
    }

    fn initializer(&mut self, tensor: &TensorProto) -> Result<()> {
        let constant = Constant::decode(tensor, &mut self.budget)?;
        self.define(&tensor.name, Term::Constant(constant))
    }

    fn define(&mut self, name: &str, term: Term) -> Result<()> {
        if self.terms.insert(name.to_owned(), term).is_some() {
            return Err(format!("'{}' is defined twice", short(name)).into());
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        let NodeProto { input, output, op_type, domain, .. } = node.proto;
        if !matches!(domain.as_str(), "" | "ai.onnx") && op_type != "BipolarQuant" {
            return Err(format!("the operators of '{}' are not known", short(domain)).into());
        }
        let mut inputs = Vec::with_capacity(input.len());
        for name in input {
            inputs.push(match self.terms.get(name) {
                _ if name.is_empty() => None,
                Some(term) => Some(term.clone()),
                None => return Err(format!("it reads '{}', which nothing before it makes", short(name)).into()),
            });
        }
        if op_type == "Dropout" {
            let drops = |mode: &Term| !matches!(mode, Term::Constant(mode) if mode.scalar() == Some(0.0));
            if inputs.get(2).and_then(Option::as_ref).is_some_and(drops) {
                return Err("its training_mode is not a constant false".into());
            }
        }
        let constants: Option<Vec<Option<Constant>>> = inputs
            .iter()
            .map(|input| match input {
                Some(Term::Constant(constant)) => Some(Some(constant.clone())),
                None => Some(None),
                Some(_) => None,
            })
            .collect();
        let terms = match constants {
            Some(constants) => vec![Term::Constant(fold::fold(node, &constants, &mut self.budget)?)],
            None => self.terms_of(node, &inputs)?,
        };
        // Dropout's mask and the like may be named, so long as nobody reads them.
        for (name, term) in output.iter().zip(terms).filter(|(name, _)| !name.is_empty()) {
            self.define(name, term)?;
        }
        Ok(())
    }

    /// The outputs of a node that depends on the input.
    fn terms_of(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Vec<Term>> {
        let missing = || Refusal::from("its first input is missing");
        let x = inputs.first().and_then(Option::as_ref).ok_or_else(missing)?;
        let one = |map: Result<Map>| Ok(vec![Term::Map(map?)]);
        match node.proto.op_type.as_str() {
            "Identity" | "Dropout" => Ok(vec![x.clone()]),
            "Cast" => Ok(vec![Self::cast(node, x)?]),
            "Shape" if !node.has("start") && !node.has("end") => {
                let extents: Vec<i64> = self.extents(x).iter().map(|&extent| extent as i64).collect();
                Ok(vec![Term::Constant(Constant::new(vec![extents.len()], Numbers::I64(extents)))])
            }
            "Softmax" | "LogSoftmax" => Ok(vec![Term::Softmax(self.map(x)?)]),
            "Sign" | "BipolarQuant" | "Not" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Where" => {
                Ok(vec![self.codes(node, inputs)?])
            }
            "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" => Ok(vec![self.arithmetic(node, inputs)?]),
            "Relu" | "LeakyRelu" | "PRelu" | "Clip" | "Neg" | "Abs" | "Exp" | "Log" | "Sqrt" | "Tanh" => {
                one(self.unary(node, inputs))
            }
            "BatchNormalization" => one(self.batch_norm(node, inputs)),
            "Conv" => one(self.conv(node, inputs)),
            "Gemm" => one(self.gemm(node, inputs)),
            "MatMul" => one(self.matmul(inputs)),
            "MaxPool" => Ok(vec![self.max_pool(node, x)?]),
            "AveragePool" => one(self.average_pool(node, x)),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceSum" | "ReduceMax" => {
                one(self.reduce(node, inputs))
            }
            "Pad" => Ok(vec![self.pad(node, inputs)?]),
            "Transpose" => Ok(vec![self.transpose(node, x)?]),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => Ok(vec![self.reshape(node, inputs)?]),
            "Concat" => one(self.concat(node, inputs)),
            "Slice" => one(self.slice(node, inputs)),
            "Split" => self.split(node, inputs),
            "Tile" => one(self.tile(inputs)),
            "Expand" => one(self.expand(inputs)),
            _ => Err("this operator is not known".into()),
        }
    }

    /// Appends a node with one output.
    fn emit(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value> {
        Ok(self.graph.add_one(op, inputs, &self.path)?)
    }

    /// Appends a state that holds these numbers, at the path of the node at hand.
    fn state(&mut self, part: &str, kind: StateKind, shape: &[usize], data: Vec<f32>) -> Result<Value> {
        self.budget.spend(&self.path, data.len().saturating_mul(size_of::<f32>()))?;
        if let Some(number) = data.iter().find(|number| !number.is_finite()) {
            return Err(format!("its constants are not finite: {number}").into());
        }
        let stem = if self.path.is_empty() { part.to_owned() } else { format!("{}.{part}", self.path) };
        let mut path = stem.clone();
        let count = self.namesakes.entry(stem.clone()).or_insert(1);
        while self.states.contains_key(&path) {
            *count += 1;
            path = format!("{stem}_{count}");
        }
        let op =
            State { path: path.clone(), shape: shape.into(), kind, init: Init::Constant(0.0), meaning: Meaning::F32 };
        self.states.insert(path.clone(), Tensor { path, shape: shape.to_vec(), data });
        self.emit(op, &[])
    }

    /// Names the outputs and drops what they do not need.
    fn finish(mut self, graph: &GraphProto, metadata: Metadata) -> std::result::Result<Imported, FormatError> {
        if graph.output.is_empty() {
            return Err(FormatError::OnnxFile { reason: "it has no outputs".to_owned() });
        }
        for output in &graph.output {
            let at = |refusal: Refusal| refusal.at(format!("output '{}'", short(&output.name)));
            let value = self.output(&output.name).map_err(at)?;
            self.graph.set_output(&output.name, value);
        }
        // Losses and metrics ask for logits: the first output that is a row of numbers for each image.
        let rows = self.graph.outputs().iter().find(|(_, value)| self.graph.meta(*value).shape.len() == 2).cloned();
        let mut spec_outputs: Vec<(String, Value)> = self.graph.outputs().to_vec();
        if let Some((row, _)) = rows.filter(|_| self.graph.outputs().iter().all(|(name, _)| name != "logits")) {
            for (name, _) in spec_outputs.iter_mut().filter(|(name, _)| *name == row) {
                "logits".clone_into(name);
            }
        }
        let failed = |error: binary_nets_graph::GraphError| FormatError::OnnxFile { reason: error.to_string() };
        let mut named = self.graph.clone();
        named.retain_outputs(&[]).map_err(failed)?;
        for (name, value) in spec_outputs {
            named.set_output(&name, value);
        }
        let live = passes::dce(&named).map_err(failed)?;
        let has_input = live.nodes().iter().any(|node| matches!(node.op, Op::Input(_)));
        if !has_input {
            return Err(FormatError::OnnxFile { reason: "no output depends on its input".to_owned() });
        }
        let paths = live.nodes().iter().filter_map(|node| match &node.op {
            Op::State(state) => Some(state.path.as_str()),
            _ => None,
        });
        let states = paths.filter_map(|path| self.states.remove(path)).collect();
        let spec = GraphSpec::of(&live);
        model_graph::check_unfrozen(&spec)?;
        Ok(Imported { spec, states, metadata })
    }

    /// An output as we give it: maps channels-last, whatever the order in which the model has them.
    fn output(&mut self, name: &str) -> Result<Value> {
        let term = self.terms.get(name).cloned().ok_or("nothing makes it")?;
        let map = match &term {
            Term::Softmax(map) => map.clone(),
            Term::Constant(_) => return Err("it is a constant".into()),
            term => self.map(term)?,
        };
        let rank = map.order.len();
        let in_place: Vec<usize> = (0..rank).collect();
        if map.order == channels_first(rank) { Ok(map.value) } else { self.in_order(&map, &in_place) }
    }
}
