//! The order in which nodes run.

use binary_nets_graph::{Graph, NodeId};

/// Nodes in order of execution.
pub struct Schedule {
    /// All nodes but leaves.
    pub order: Vec<NodeId>,
    /// The first that writes state; everything before it can be thrown away.
    pub commit: usize,
}

/// Nodes run in order of definition; those that write state come last, so that a run can be given up before the first of them.
pub fn schedule(graph: &Graph) -> Schedule {
    let nodes = graph.nodes();
    let writes = |id: &NodeId| !nodes[*id].op.writes().is_empty();
    let (updates, mut order): (Vec<NodeId>, Vec<NodeId>) =
        (0..nodes.len()).filter(|&id| !nodes[id].op.is_leaf()).partition(writes);
    let commit = order.len();
    order.extend(updates);
    Schedule { order, commit }
}
