//! Dead code elimination.

use crate::{Graph, GraphError};

use super::rewrite::Rewrite;

/// Drops every node that neither a named output nor an update of state depends on, leaves too.
pub fn dce(graph: &Graph) -> Result<Graph, GraphError> {
    let mut live = vec![false; graph.values().len()];
    for &(_, value) in graph.outputs() {
        live[value.index()] = true;
    }
    let mut kept = vec![false; graph.nodes().len()];
    for (id, node) in graph.nodes().iter().enumerate().rev() {
        kept[id] = !node.op.writes().is_empty() || node.outputs.iter().any(|v| live[v.index()]);
        if kept[id] {
            for input in &node.inputs {
                live[input.index()] = true;
            }
        }
    }
    let mut rewrite = Rewrite::new(graph);
    for (node, _) in graph.nodes().iter().zip(kept).filter(|&(_, kept)| kept) {
        rewrite.copy(node)?;
    }
    rewrite.finish(graph)
}
