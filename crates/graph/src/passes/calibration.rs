//! Estimating the running statistics of norms anew.

use crate::ops::StatisticsMomentum;
use crate::{Graph, GraphError, Op};

use super::rewrite::Rewrite;
use super::{attach_statistics, dce};

/// A graph that only updates running statistics, to their plain mean over all batches since step 0; dropouts pass everything. Sign flips make
/// running statistics lag behind the weights, and this brings them up to date.
pub fn calibration(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes() {
        if let Op::Dropout(_) = node.op {
            let x = rewrite.get(node.inputs[0])?;
            rewrite.set(node.outputs[0], x);
        } else {
            rewrite.copy(node)?;
        }
    }
    let mut graph = rewrite.target;
    attach_statistics(&mut graph, Some(StatisticsMomentum::Cumulative))?;
    dce(&graph)
}
