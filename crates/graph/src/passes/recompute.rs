//! The order in which nodes stand, in which they may stand again.

use crate::{Graph, GraphError, NodeId};

use super::rewrite::Rewrite;

/// The graph whose nodes are those of `order`, in that order. A node may stand there several times: then its values are computed again, and whoever reads one
/// reads the last before it. That yields the same bits, for an op is a function of its inputs and of the step, and states change behind all that reads them.
pub fn recompute(graph: &Graph, order: &[NodeId]) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    for &id in order {
        rewrite.copy(&graph.nodes()[id])?;
    }
    rewrite.finish(graph)
}
