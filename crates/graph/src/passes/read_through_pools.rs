//! Gradients that are not spread out behind max pools.

use std::collections::HashMap;

use crate::ops::MaxPool2dGrad;
use crate::{Graph, GraphError, Node, Op, Value};

use super::rewrite::Rewrite;

/// Pixels of a window from which on most of what a pool spreads out is zeros, so that it costs less to read its gradient and index again for each pixel than to write and read them all.
const LEAST_TAPS: usize = 4;

/// Lets the gradients of binary convolutions read that of the max pool behind them by its index, where they would read what that spreads out: a number for each window instead
/// of one for each pixel.
pub fn read_through_pools(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    let mut pools: HashMap<Value, (&MaxPool2dGrad, &Node)> = HashMap::new();
    for node in graph.nodes() {
        if let Op::MaxPool2dGrad(pool) = &node.op
            && pool.window.tiles()
            && pool.window.taps() >= LEAST_TAPS
        {
            pools.insert(node.outputs[0], (pool, node));
        }
        let mut op = node.op.clone();
        let (dy, unpool) = match &mut op {
            Op::BinaryConv2dGradInput(op) => (0, &mut op.unpool),
            Op::BinaryConv2dGradWeight(op) => (1, &mut op.unpool),
            _ => {
                rewrite.copy(node)?;
                continue;
            }
        };
        let Some(&(pool, behind)) = pools.get(&node.inputs[dy]) else {
            rewrite.copy(node)?;
            continue;
        };
        *unpool = Some(pool.clone());
        let mut inputs = rewrite.get_all(&node.inputs)?;
        inputs[dy] = rewrite.get(behind.inputs[1])?;
        inputs.push(rewrite.get(behind.inputs[0])?);
        let outputs = rewrite.target.add(op, &inputs, &node.path)?;
        rewrite.set(node.outputs[0], outputs[0]);
    }
    rewrite.finish(graph)
}
