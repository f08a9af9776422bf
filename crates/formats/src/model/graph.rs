//! The graph of a frozen network. Files are not trusted: whatever passes here can be planned and run, if there is the memory for it.

use binary_nets_graph::spec::{GraphSpec, VERSION};
use binary_nets_graph::{Graph, GraphError, Op};

use super::{border, ops, prologue};
use crate::FormatError;

/// The most nodes. Networks of five binary bases have a tenth of them.
const NODES: usize = 1 << 13;

/// The most elements of a tensor that is computed for one image.
const ELEMENTS: usize = 1 << 28;

/// The graph of a frozen network for one image.
pub fn check(spec: &GraphSpec) -> Result<Graph, FormatError> {
    let graph = bounded(spec, ops::objection)?;
    border::sources(&graph)?;
    prologue::check(&graph)?;
    Ok(graph)
}

/// The graph for one image of what is yet to be frozen: its states are of any kind, and its weights become bits in it. It is bounded like a frozen one.
pub fn check_unfrozen(spec: &GraphSpec) -> Result<Graph, FormatError> {
    bounded(spec, |op| match op {
        Op::State(state) => ops::axes(state.shape.len()),
        Op::BinarizeWeight(_) | Op::TernarizeWeight(_) => None,
        op => ops::objection(op),
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
    border::bounds(spec)?;
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
