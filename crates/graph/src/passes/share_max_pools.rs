//! Max pools and their indices in one sweep.

use crate::ops::MaxPool2dIndex;
use crate::{Graph, GraphError, Node, Op};

use super::rewrite::Rewrite;

/// Takes the result of a max pool from the op that tells its index, where the graph has that op too.
pub fn share_max_pools(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes() {
        match &node.op {
            Op::MaxPool2d(pool) => {
                let index = MaxPool2dIndex { window: pool.window };
                let Some(indexed) = graph.nodes().iter().find(|other| is_of(other, &index, node)) else {
                    rewrite.copy(node)?;
                    continue;
                };
                let outputs = rewrite.copy(indexed)?;
                rewrite.set(node.outputs[0], outputs[0]);
            }
            // It stands where the pool did.
            Op::MaxPool2dIndex(_) if rewrite.get(node.outputs[0]).is_ok() => {}
            _ => {
                rewrite.copy(node)?;
            }
        }
    }
    rewrite.finish(graph)
}

fn is_of(node: &Node, index: &MaxPool2dIndex, pool: &Node) -> bool {
    matches!(&node.op, Op::MaxPool2dIndex(op) if op == index) && node.inputs == pool.inputs
}
