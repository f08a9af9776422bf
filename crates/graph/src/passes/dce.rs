//! Dead code elimination.

use crate::{Graph, GraphError, Node};

use super::rewrite::Rewrite;

/// Drops every node that neither a named output nor an update of state depends on, leaves too.
pub fn dce(graph: &Graph) -> Result<Graph, GraphError> {
    let live = live(graph);
    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes().iter().filter(|node| is_live(node, &live)) {
        rewrite.copy(node)?;
    }
    rewrite.finish(graph)
}

/// Which values, by index, a named output or an update of state depends on, and the outputs themselves.
pub(super) fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.values().len()];
    for &(_, value) in graph.outputs() {
        live[value.index()] = true;
    }
    for node in graph.nodes().iter().rev() {
        if is_live(node, &live) {
            for input in &node.inputs {
                live[input.index()] = true;
            }
        }
    }
    live
}

fn is_live(node: &Node, live: &[bool]) -> bool {
    !node.op.writes().is_empty() || node.outputs.iter().any(|v| live[v.index()])
}
