//! Codes, masks and slopes that several ask for.

use std::collections::HashMap;

use crate::ops::{Sign, Step, Surrogate};
use crate::{Graph, GraphError, Op, Value};

use super::rewrite::Rewrite;

/// Makes bits or slopes of a map once, where a rectifier keeps the codes of its result as its mask, or several convolutions read one map.
///
/// For graphs that are not differentiated any more: codes have the same bits whatever stands in for their derivative.
pub fn share_codes(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    let mut made: HashMap<Value, Vec<(Op, Value)>> = HashMap::new();
    for node in graph.nodes() {
        let Some(op) = without_gradient(&node.op) else {
            rewrite.copy(node)?;
            continue;
        };
        let of_map = made.entry(rewrite.get(node.inputs[0])?).or_default();
        if let Some((_, same)) = of_map.iter().find(|(other, _)| *other == op) {
            rewrite.set(node.outputs[0], *same);
        } else {
            of_map.push((op, rewrite.copy(node)?[0]));
        }
    }
    rewrite.finish(graph)
}

/// What is made of a map, in few bits, whatever its gradient.
fn without_gradient(op: &Op) -> Option<Op> {
    match op {
        Op::Sign(op) => Some(Sign { gradient: Surrogate::Identity, groups: op.groups }.into()),
        Op::Step(op) => Some(Step { gradient: Surrogate::Identity, groups: op.groups }.into()),
        Op::IntervalMask(_) | Op::QuantizeSlope(_) => Some(op.clone()),
        _ => None,
    }
}
