//! What is computed before the first image: all that depends on constants alone, and the layouts of what is read of it.

use binary_nets_graph::{Graph, GraphError, Node, Op, Value, ValueMeta};

use crate::FormatError;

/// The most elements that are read, written or multiplied. A network of a hundred million weights of 8 bits takes a fifth of them.
const WORK: usize = 1 << 31;

/// A prologue of seconds at most: what a file asks for is no reason to wait for hours.
pub fn check(graph: &Graph) -> Result<(), FormatError> {
    let mut constant: Vec<bool> = Vec::with_capacity(graph.values().len());
    let mut work: usize = 0;
    for node in graph.nodes() {
        let is_constant = |value: &&Value| constant[value.index()];
        let read = node.inputs.iter().filter(is_constant).map(|&value| graph.meta(value).shape.elements());
        work = read.fold(work, usize::saturating_add);
        let all = node.inputs.iter().all(|value| is_constant(&value)) && !matches!(node.op, Op::Input(_));
        if all {
            work = work.saturating_add(computed(graph, node));
        }
        if work > WORK {
            let message = format!(
                "{} at '{}': with it, {work} numbers are computed from constants before the first image, not {WORK} at most",
                node.op.name(),
                node.path
            );
            return Err(FormatError::Graph(GraphError::Spec(message)));
        }
        constant.extend(node.outputs.iter().map(|_| all));
    }
    Ok(())
}

/// What a node computes: products where it has any, window by window in a pool, or else one number for each element.
fn computed(graph: &Graph, node: &Node) -> usize {
    let metas = |values: &[Value]| -> Vec<&ValueMeta> { values.iter().map(|&value| graph.meta(value)).collect() };
    let (inputs, outputs) = (metas(&node.inputs), metas(&node.outputs));
    let macs = node.op.macs(&inputs, &outputs);
    let taps = match &node.op {
        Op::MaxPool2d(pool) => pool.window.taps(),
        Op::AvgPool2d(pool) => pool.window.taps(),
        _ => 1,
    };
    let elements: usize = outputs.iter().map(|meta| meta.shape.elements()).sum();
    [macs.float as usize, macs.binary as usize].into_iter().fold(elements.saturating_mul(taps), usize::saturating_add)
}
