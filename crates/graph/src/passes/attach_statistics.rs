//! Running statistics of batch norms.

use crate::ops::{StatisticsMomentum, UpdateStatistics};
use crate::{Graph, GraphError, Op};

/// Lets each batch norm's running statistics follow its batches, in order of definition: by the norm's own momentum, or by `momentum` if given.
pub fn attach_statistics(graph: &mut Graph, momentum: Option<StatisticsMomentum>) -> Result<(), GraphError> {
    for node in graph.nodes().to_vec() {
        let Op::BatchNorm(norm) = &node.op else { continue };
        let &[x, _, _, running_mean, running_variance, ..] = node.inputs.as_slice() else { continue };
        let momentum = momentum.unwrap_or(StatisticsMomentum::Fixed(norm.momentum));
        let update = UpdateStatistics { momentum, count: graph.meta(x).shape.rows() };
        graph.add(update, &[running_mean, running_variance, node.outputs[1], node.outputs[2]], &node.path)?;
    }
    Ok(())
}
