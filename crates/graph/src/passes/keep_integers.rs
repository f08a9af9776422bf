//! Maps that wait for backward in half the bytes.

use std::collections::{HashMap, HashSet};

use crate::ops::norm_takes;
use crate::{Graph, GraphError, Op, Value};

use super::rewrite::Rewrite;

/// Lets norms, and their gradients, read the integers of the binary convolution in front of them, and its α, where they alone read what it yields: two bytes
/// instead of four wait for backward and are read by each sweep. Changes no bit.
///
/// For graphs that are not differentiated any more. Where no gradient reads it again, a norm takes the memory of its input, and floats are kept.
pub fn keep_integers(graph: &Graph) -> Result<Graph, GraphError> {
    let mut alphas: HashMap<Value, Value> = HashMap::new();
    for node in graph.nodes() {
        if let (Op::BinaryConv2d(_), &[codes, bits, alpha]) = (&node.op, &node.inputs[..])
            && let [d] = &node.op.infer(&[graph.meta(codes), graph.meta(bits)], graph.batch()).unwrap_or_default()[..]
            && norm_takes(d.meaning)
        {
            alphas.insert(node.outputs[0], alpha);
        }
    }
    let mut waits = HashSet::new();
    for node in graph.nodes() {
        let (read, others) = match node.op {
            Op::BatchNorm(_) | Op::BatchNormGrad(_) => node.inputs.split_at(1),
            _ => node.inputs.split_at(0),
        };
        waits.extend(read.iter().filter(|_| matches!(node.op, Op::BatchNormGrad(_))).copied());
        for value in others {
            alphas.remove(value);
        }
    }
    for (_, value) in graph.outputs() {
        alphas.remove(value);
    }
    alphas.retain(|y, _| waits.contains(y));

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
