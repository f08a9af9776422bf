//! From training to evaluation, unfolded.

use crate::ops::BatchNormInference;
use crate::{Graph, GraphError, Op};

use super::rewrite::Rewrite;

/// Norms use their running statistics, dropouts pass everything. The result is what [`super::freeze()`] starts from, and what frozen programs are checked
/// against.
pub fn evaluation(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes() {
        match &node.op {
            Op::BatchNorm(norm) => {
                let inputs = rewrite.get_all(&node.inputs)?;
                let y = rewrite.target.add_one(BatchNormInference { eps: norm.eps }, &inputs, &node.path)?;
                rewrite.set(node.outputs[0], y);
                rewrite.set(node.outputs[1], inputs[3]);
                rewrite.set(node.outputs[2], inputs[4]);
            }
            Op::Dropout(_) => {
                let x = rewrite.get(node.inputs[0])?;
                rewrite.set(node.outputs[0], x);
            }
            _ => {
                rewrite.copy(node)?;
            }
        }
    }
    rewrite.finish(graph)
}
