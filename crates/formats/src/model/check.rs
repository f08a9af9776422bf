//! What a frozen network may be. Files are not trusted: whatever passes here can be planned and run, if there is the memory for it.

use std::collections::BTreeMap;

use binary_nets_bits::BitLayout;
use binary_nets_graph::ops::{Border, Input, State, StateKind, Surrogate};
use binary_nets_graph::spec::{GraphSpec, VERSION};
use binary_nets_graph::{Graph, GraphError, Meaning, Op, ValueMeta, Window};

use super::{Constant, Elements, Metadata};
use crate::FormatError;

/// The most nodes. Networks of five binary bases have a tenth of them.
const NODES: usize = 1 << 13;

/// The most axes of a tensor.
const AXES: usize = 8;

/// The most taps of a window along an axis, pixels that it steps over, and pixels of padding.
const REACH: usize = 1 << 10;

/// The most pixels of an image along an axis.
const SIDE: usize = 1 << 14;

/// The most elements of a tensor that is computed for one image.
const ELEMENTS: usize = 1 << 28;

/// The graph of a frozen network for one image.
pub fn graph(spec: &GraphSpec) -> Result<Graph, FormatError> {
    bounded(spec, objection)
}

/// The graph for one image of what is yet to be frozen: its states are of any kind, and its weights become bits in it. It is bounded like a frozen one.
pub fn unfrozen(spec: &GraphSpec) -> Result<Graph, FormatError> {
    bounded(spec, |op| match op {
        Op::State(state) => axes(state.shape.len()),
        Op::BinarizeWeight(_) | Op::TernarizeWeight(_) => None,
        op => objection(op),
    })
}

fn bounded(spec: &GraphSpec, objection: impl Fn(&Op) -> Option<String>) -> Result<Graph, FormatError> {
    let refuse = |message: String| Err(FormatError::Graph(GraphError::Spec(message)));
    if spec.version != VERSION {
        return refuse(format!("version {} is not understood, only {VERSION}", spec.version));
    }
    let size = spec.nodes.len().max(spec.outputs.len()).max(spec.layers.len());
    if size > NODES {
        return refuse(format!("{size} nodes or names, and a frozen network has {NODES} at most"));
    }
    for node in &spec.nodes {
        if let Some(what) = objection(&node.op) {
            return refuse(format!("{} at '{}': {what}", node.op.name(), node.path));
        }
    }
    let graph = spec.graph(1, &[])?;
    if let Some(value) = graph.values().find(|&value| graph.meta(value).shape.elements() > ELEMENTS) {
        let (node, meta) = (graph.producer(value), graph.meta(value));
        return refuse(format!("{} at '{}': {meta} is too large for one image", node.op.name(), node.path));
    }
    let images = graph.nodes().iter().filter(|node| matches!(node.op, Op::Input(_))).count();
    if images != 1 || graph.outputs().is_empty() {
        return refuse(format!("{images} inputs and {} outputs, not one image and outputs", graph.outputs().len()));
    }
    Ok(graph)
}

fn axes(rank: usize) -> Option<String> {
    (rank > AXES).then(|| format!("{rank} axes, and {AXES} are allowed"))
}

/// What is wrong with an op, before anything is inferred from it.
fn objection(op: &Op) -> Option<String> {
    match op {
        Op::Input(Input { shape, meaning, .. }) => {
            let fits = shape.len() == 3 && shape.iter().all(|extent| (1..=SIDE).contains(extent));
            let pixels = *meaning == Meaning::Int { min: 0, max: 255 };
            (!fits || !pixels).then(|| format!("{} is no image", ValueMeta::new(*meaning, shape.clone())))
        }
        Op::State(state) => axes(state.shape.len()).or_else(|| state_objection(state)),
        Op::Fill(fill) => axes(fill.shape.len()),
        Op::Constant(constant) => axes(constant.shape.len()),
        Op::BroadcastTo(broadcast) => axes(broadcast.shape.len()),
        Op::Reshape(reshape) => axes(reshape.dims.len()),
        Op::Sign(sign) => gradient_objection(&sign.gradient),
        Op::Step(step) => gradient_objection(&step.gradient),
        Op::Conv2d(conv) => window_objection(&conv.window),
        Op::BinaryConv2d(conv) => window_objection(&conv.window),
        Op::TernaryConv2d(conv) => window_objection(&conv.window),
        Op::MaxPool2d(pool) => window_objection(&pool.window),
        Op::AvgPool2d(pool) => window_objection(&pool.window),
        Op::ImageConv2d(conv) => border_objection(&conv.border),
        Op::Affine(affine) => affine.border.as_ref().and_then(border_objection),
        Op::NormalizeImage(_)
        | Op::TernaryAffine(_)
        | Op::BatchNormInference(_)
        | Op::Relu(_)
        | Op::Prelu(_)
        | Op::Matmul(_)
        | Op::Arithmetic(_)
        | Op::Unary(_)
        | Op::Clamp(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::PadAxis(_)
        | Op::Concat(_)
        | Op::Repeat(_)
        | Op::Reduce(_)
        | Op::Dequantize(_)
        | Op::StopGradient(_) => None,
        Op::Scalar(_)
        | Op::Conv2dGradInput(_)
        | Op::Conv2dGradWeight(_)
        | Op::SurrogateGrad(_)
        | Op::BinarizeWeight(_)
        | Op::BinaryConv2dGradInput(_)
        | Op::BinaryConv2dGradWeight(_)
        | Op::TernarizeWeight(_)
        | Op::TernarizeWeightGrad(_)
        | Op::TernaryConv2dGradInput(_)
        | Op::BatchNorm(_)
        | Op::BatchNormGrad(_)
        | Op::UpdateStatistics(_)
        | Op::ApplyMask(_)
        | Op::IntervalMask(_)
        | Op::MaxPool2dIndex(_)
        | Op::MaxPool2dGrad(_)
        | Op::AvgPool2dGrad(_)
        | Op::Dropout(_)
        | Op::SoftmaxCrossEntropy(_)
        | Op::SoftmaxCrossEntropyGrad(_)
        | Op::CountCorrect(_)
        | Op::OneHot(_)
        | Op::Gather(_)
        | Op::Scatter(_)
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
        | Op::RoundHalf(_)
        | Op::QuantizeWeight(_)
        | Op::Fused(_) => Some("no frozen network has such an op".to_owned()),
    }
}

fn state_objection(State { path: _, shape, kind, init: _, meaning }: &State) -> Option<String> {
    if *kind != StateKind::Constant {
        return Some("a state that is no constant".to_owned());
    }
    let known = match *meaning {
        Meaning::Bit { groups, .. } => groups > 0 && shape.channels() > 0 && shape.channels().is_multiple_of(groups),
        Meaning::Int { min, max } => i64::from(i16::MIN) <= min && min <= max && max <= i64::from(i16::MAX),
        Meaning::Index { .. } => false,
        Meaning::F32 => true,
    };
    (!known).then(|| format!("a constant {}", ValueMeta::new(*meaning, shape.clone())))
}

fn gradient_objection(gradient: &Surrogate) -> Option<String> {
    matches!(gradient, Surrogate::Custom(_)).then(|| "a gradient, which a frozen network has none of".to_owned())
}

fn window_objection(window: &Window) -> Option<String> {
    let Window { kernel, stride, padding, dilation } = window;
    let most = [kernel, stride, padding, dilation].into_iter().flatten().max();
    most.filter(|&&most| most > REACH)
        .map(|most| format!("a window that reaches over {most} pixels, not {REACH} at most"))
}

fn border_objection(border: &Border) -> Option<String> {
    let large = border.input.iter().any(|&side| side > SIDE);
    window_objection(&border.window).or_else(|| large.then(|| format!("an image of {:?} pixels", border.input)))
}

/// What the states of a graph are, by path.
pub fn states(graph: &Graph) -> BTreeMap<&str, &ValueMeta> {
    let mut states = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::State(state) = &node.op {
            states.insert(state.path.as_str(), graph.meta(node.outputs[0]));
        }
    }
    states
}

/// Constants that are what the states of a graph ask for.
pub fn constants(graph: &Graph, constants: &[Constant]) -> Result<(), FormatError> {
    let mut missing = states(graph);
    for constant in constants {
        let path = || constant.path.clone();
        let refuse = |reason: String| Err(FormatError::Tensor { path: path(), reason });
        let Some(meta) = missing.remove(constant.path.as_str()) else {
            return if states(graph).contains_key(constant.path.as_str()) {
                Err(FormatError::Key { path: path() })
            } else {
                refuse("is no constant of the graph".to_owned())
            };
        };
        if *meta != constant.meta {
            return refuse(format!("should be {meta}, not {}", constant.meta));
        }
        if let Some(reason) = data_objection(meta, &constant.data) {
            return refuse(reason);
        }
    }
    match missing.first_key_value() {
        Some((path, meta)) => {
            Err(FormatError::Tensor { path: (*path).to_owned(), reason: format!("is missing, {meta}") })
        }
        None => Ok(()),
    }
}

/// Where the bits of a tensor in `groups` lie.
pub fn bit_layout(meta: &ValueMeta, groups: usize) -> BitLayout {
    BitLayout { rows: meta.shape.rows(), groups, channels: meta.shape.channels() / groups }
}

/// What is wrong with the elements of a tensor.
fn data_objection(meta: &ValueMeta, data: &Elements) -> Option<String> {
    let (expected, got) = match (meta.meaning, data) {
        (Meaning::Bit { groups, .. }, Elements::Bits(words)) => {
            let layout = bit_layout(meta, groups);
            let outside = |(i, word): (usize, &u64)| word & !layout.valid_bits(i % layout.words()) != 0;
            if words.len() == layout.len() && words.iter().enumerate().any(outside) {
                return Some("has bits behind the last channel of a group, which should be 0".to_owned());
            }
            (layout.len(), words.len())
        }
        (Meaning::Int { min, max }, Elements::I16(integers)) => {
            if let Some(integer) = integers.iter().find(|&&integer| !(min..=max).contains(&i64::from(integer))) {
                return Some(format!("is {meta} and holds {integer}"));
            }
            (meta.shape.elements(), integers.len())
        }
        (Meaning::F32, Elements::F16(floats) | Elements::F32(floats)) => (meta.shape.elements(), floats.len()),
        (_, data) => return Some(format!("is {meta} and holds {}", data.name())),
    };
    (expected != got).then(|| format!("is {meta} and holds {got} elements or words, not {expected}"))
}

/// Metadata that fit a graph.
pub fn metadata(graph: &Graph, metadata: &Metadata) -> Result<(), FormatError> {
    let logits = graph.outputs().iter().find(|(name, _)| name == "logits").map(|(_, value)| graph.meta(*value));
    if let (Some(classes), Some(logits)) = (&metadata.classes, logits)
        && classes.len() != logits.shape.channels()
    {
        let (classes, logits) = (classes.len(), logits.shape.channels());
        return Err(FormatError::Metadata(format!("the names of {classes} classes, and there are {logits} logits")));
    }
    if let Some(normalize) = &metadata.normalize {
        let image = graph.nodes().iter().find(|node| matches!(node.op, Op::Input(_)));
        let channels = image.map_or(0, |node| graph.meta(node.outputs[0]).shape.channels());
        let numbers = || normalize.mean.iter().chain(&normalize.std);
        if [&normalize.mean, &normalize.std].iter().any(|list| list.len() != channels)
            || numbers().any(|x| !x.is_finite())
            || normalize.std.iter().any(|&std| std <= 0.0)
        {
            let message = format!("means and positive standard deviations of {channels} channels, not {normalize:?}");
            return Err(FormatError::Metadata(message));
        }
    }
    match metadata.resize {
        super::Resize::Shorter(0) => Err(FormatError::Metadata("a shorter side of 0 pixels".to_owned())),
        super::Resize::Shorter(_) | super::Resize::Stretch => Ok(()),
    }
}
