//! What fusion made of a network, for people.

use serde::Serialize;

use crate::ops::StateKind;
use crate::{Graph, Meaning, Node, Op, Value};

/// One convolution, one product, or one element-wise op that stands alone, of a fused graph.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FusionRow {
    /// The path of the layer.
    pub path: String,
    /// The first op's name.
    pub op: &'static str,
    /// What the weights of a convolution of bytes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<&'static str>,
    /// The names of the ops that it is computed with, in order.
    pub fused: Vec<&'static str>,
    /// What leaves it.
    pub writes: Writes,
    /// Why it stands alone, if it does.
    pub apart: Option<String>,
}

/// What an op leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Writes {
    /// Bits, by comparing integers with constants.
    #[serde(rename = "codes by threshold")]
    CodesByThreshold,
    /// Bits.
    #[serde(rename = "codes")]
    Codes,
    /// Floats.
    #[serde(rename = "map")]
    Map,
    /// Floats, and bits of them.
    #[serde(rename = "map and codes")]
    MapAndCodes,
    /// The exact sums of a convolution.
    #[serde(rename = "integers")]
    Integers,
}

/// What of a fused graph is computed together, and why the rest is not: a row for each convolution, product, and element-wise op on its own.
pub fn fusion_report(graph: &Graph) -> Vec<FusionRow> {
    graph.nodes().iter().filter_map(|node| row(graph, node)).collect()
}

fn row(graph: &Graph, node: &Node) -> Option<FusionRow> {
    let apart = match &node.op {
        Op::Fused(_) => None,
        Op::Conv2d(_) => Some("a float convolution".to_owned()),
        Op::Matmul(_) => Some("a float product".to_owned()),
        Op::ImageConv2d(_) | Op::BinaryConv2d(_) | Op::TernaryConv2d(_) => {
            let why =
                node.outputs.iter().find_map(|&v| left(graph, v)).unwrap_or_else(|| behind(graph, node.outputs[0]));
            Some(format!("its integers: {why}"))
        }
        Op::Affine(_)
        | Op::TernaryAffine(_)
        | Op::Relu(_)
        | Op::Prelu(_)
        | Op::Clamp(_)
        | Op::Unary(_)
        | Op::Arithmetic(_)
        | Op::Sign(_)
        | Op::Step(_) => {
            let why = format!("{}; {}", front(graph, node), behind(graph, node.outputs[0]));
            Some(why)
        }
        _ => return None,
    };
    let of_bytes = match &node.op {
        Op::Fused(fused) => fused.body.first().is_some_and(|first| matches!(first.op, Op::ImageConv2d(_))),
        op => matches!(op, Op::ImageConv2d(_)),
    };
    let weights = of_bytes.then(|| match graph.meta(node.inputs[1]).meaning {
        Meaning::Int { max: 127, .. } => "int8",
        _ => "int16",
    });
    let (op, fused) = fused_names(&node.op);
    Some(FusionRow { path: node.path.clone(), op, weights, fused, writes: writes(graph, node), apart })
}

/// The name of an op, the first of a fused one, and the names of the ops that are computed with it, in order. A function goes by its function's name.
pub fn fused_names(op: &Op) -> (&'static str, Vec<&'static str>) {
    let Op::Fused(fused) = op else { return (name(op), Vec::new()) };
    let mut names = fused.body.iter().map(|node| name(&node.op));
    (names.next().unwrap_or_default(), names.collect())
}

/// An op by its own name, a function by its function's.
fn name(op: &Op) -> &'static str {
    match op {
        Op::Arithmetic(op) => op.function.name(),
        Op::Unary(op) => op.function.name(),
        _ => op.name(),
    }
}

/// What leaves a node of a frozen graph.
pub fn writes(graph: &Graph, node: &Node) -> Writes {
    if let Op::Fused(fused) = &node.op {
        let constant: Vec<bool> = node.inputs.iter().map(|&v| is_constant(graph, v)).collect();
        let inputs: Vec<_> = node.inputs.iter().map(|&v| graph.meta(v)).collect();
        if fused.is_threshold(&inputs, &constant) {
            return Writes::CodesByThreshold;
        }
    }
    let is = |wanted: fn(&Meaning) -> bool| node.outputs.iter().any(|&v| wanted(&graph.meta(v).meaning));
    match (
        is(|m| matches!(m, Meaning::Int { .. })),
        is(|m| *m == Meaning::F32),
        is(|m| matches!(m, Meaning::Bit { .. })),
    ) {
        (true, _, _) => Writes::Integers,
        (_, true, true) => Writes::MapAndCodes,
        (_, false, true) => Writes::Codes,
        (_, _, false) => Writes::Map,
    }
}

fn is_constant(graph: &Graph, value: Value) -> bool {
    matches!(&graph.producer(value).op, Op::State(state) if state.kind == StateKind::Constant)
}

/// Where a value goes besides one reader, if it goes elsewhere.
fn left(graph: &Graph, value: Value) -> Option<String> {
    let readers = graph.nodes().iter().flat_map(|node| &node.inputs).filter(|v| **v == value).count();
    let named = graph.outputs().iter().find(|(_, v)| *v == value);
    named
        .map(|(name, _)| format!("the output '{name}'"))
        .or_else(|| (readers > 1).then(|| format!("read by {readers} layers")))
}

/// Why a node was not computed with what it reads.
fn front(graph: &Graph, node: &Node) -> String {
    let map = node.inputs.iter().copied().find(|&v| !graph.producer(v).op.is_leaf());
    let Some(map) = map else { return "reads the network's input".to_owned() };
    match left(graph, map) {
        Some(left) => format!("what it reads is {left}"),
        None => format!("{} in front", what(&graph.producer(map).op)),
    }
}

/// Why a node was not computed with what reads it.
fn behind(graph: &Graph, value: Value) -> String {
    left(graph, value).unwrap_or_else(|| {
        let reader = graph.nodes().iter().find(|node| node.inputs.contains(&value));
        reader.map_or_else(|| "read by nobody".to_owned(), |node| format!("{} behind", what(&node.op)))
    })
}

fn what(op: &Op) -> String {
    match op {
        Op::MaxPool2d(_) | Op::AvgPool2d(_) => "a pool".to_owned(),
        Op::Reduce(op) => format!("a {}", op.reduction.name()),
        Op::Conv2d(_) => "a float convolution".to_owned(),
        Op::ImageConv2d(_) => "a convolution of bytes".to_owned(),
        Op::Quantize(_) => "what makes bytes of it".to_owned(),
        Op::Matmul(_) => "a float product".to_owned(),
        Op::Input(_) => "the input".to_owned(),
        Op::Fused(fused) => fused.body.first().map_or_else(String::new, |node| format!("a fused {}", name(&node.op))),
        op => format!("a {}", name(op)),
    }
}
