//! Maps that wait for backward in half the bytes.

use std::collections::HashMap;

use crate::{Graph, GraphError, Op, Value};

use super::rewrite::Rewrite;

/// The longest sum that two bytes hold.
const LONGEST: usize = i16::MAX as usize;

/// Lets norms, and their gradients, read the integers of the binary convolution in front of them, and its α, where they alone read what it yields: two bytes
/// instead of four wait for backward and are read by each sweep. Changes no bit.
///
/// For graphs that are not differentiated any more.
pub fn keep_integers(graph: &Graph) -> Result<Graph, GraphError> {
    let mut alphas: HashMap<Value, Value> = HashMap::new();
    for node in graph.nodes() {
        if let (Op::BinaryConv2d(_), &[_, bits, alpha]) = (&node.op, &node.inputs[..])
            && graph.meta(bits).shape[1..].iter().product::<usize>() <= LONGEST
        {
            alphas.insert(node.outputs[0], alpha);
        }
    }
    for node in graph.nodes() {
        let others = if is_norm(&node.op) { &node.inputs[1..] } else { &node.inputs[..] };
        others.iter().for_each(|value| _ = alphas.remove(value));
    }
    graph.outputs().iter().for_each(|(_, value)| _ = alphas.remove(value));

    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes() {
        let alpha = |values: &[Value]| values.first().and_then(|value| alphas.get(value)).copied();
        let mut inputs = rewrite.get_all(&node.inputs)?;
        if alpha(&node.outputs).is_some() {
            inputs.truncate(2);
        } else if let Some(alpha) = alpha(&node.inputs) {
            inputs.push(rewrite.get(alpha)?);
        } else {
            rewrite.copy(node)?;
            continue;
        }
        for (&from, to) in node.outputs.iter().zip(rewrite.target.add(node.op.clone(), &inputs, &node.path)?) {
            rewrite.set(from, to);
        }
    }
    rewrite.finish(graph)
}

fn is_norm(op: &Op) -> bool {
    matches!(op, Op::BatchNorm(_) | Op::BatchNormGrad(_))
}
