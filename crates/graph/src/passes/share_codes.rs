//! Codes that several ask for.

use std::collections::HashMap;

use binary_nets_bits::Codes;

use crate::{Graph, GraphError, Op, Value};

use super::rewrite::Rewrite;

/// Makes codes of a map once, where a rectifier keeps them as its mask, or several convolutions read them.
///
/// For graphs that are not differentiated any more: codes have the same bits whatever stands in for their derivative.
pub fn share_codes(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewrite = Rewrite::new(graph);
    let mut made: HashMap<(Value, Codes, usize), Value> = HashMap::new();
    for node in graph.nodes() {
        let (codes, groups) = match &node.op {
            Op::Sign(op) => (Codes::Sign, op.groups),
            Op::Step(op) => (Codes::Step, op.groups),
            _ => {
                rewrite.copy(node)?;
                continue;
            }
        };
        let key = (rewrite.get(node.inputs[0])?, codes, groups);
        if let Some(&bits) = made.get(&key) {
            rewrite.set(node.outputs[0], bits);
        } else {
            made.insert(key, rewrite.copy(node)?[0]);
        }
    }
    rewrite.finish(graph)
}
