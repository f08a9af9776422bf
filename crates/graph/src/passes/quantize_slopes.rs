//! Slopes of pseudo-gradients in 8 bits.

use std::collections::HashMap;

use crate::ops::{QuantizeSlope, QuantizedSlopeGrad, SurrogateSlope};
use crate::{Graph, GraphError, Node, Op, Value};

use super::rewrite::Rewrite;

/// Lets pseudo-gradients that read their input read a slope of 8 bits in its place, made where the input is: a byte instead of four waits for backward, and the
/// gradient is as wrong as rounding makes the slope. What the host or a state holds waits anyway, and is read as before.
pub fn quantize_slopes(graph: &Graph) -> Result<Graph, GraphError> {
    let mut readers: HashMap<Value, Vec<(SurrogateSlope, &Node)>> = HashMap::new();
    for node in graph.nodes() {
        if let Op::SurrogateGrad(op) = &node.op
            && !graph.producer(node.inputs[0]).op.is_leaf()
        {
            readers.entry(node.inputs[0]).or_default().push((op.gradient, node));
        }
    }
    // By the gradient that reads each.
    let mut slopes: HashMap<Value, Value> = HashMap::new();
    let mut rewrite = Rewrite::new(graph);
    for node in graph.nodes() {
        if let Op::SurrogateGrad(op) = &node.op
            && let Some(&slope) = slopes.get(&node.outputs[0])
        {
            let inputs = [slope, rewrite.get(node.inputs[1])?];
            let dx = rewrite.target.add_one(QuantizedSlopeGrad { gradient: op.gradient }, &inputs, &node.path)?;
            rewrite.set(node.outputs[0], dx);
            continue;
        }
        for (&x, copy) in node.outputs.iter().zip(rewrite.copy(node)?) {
            for &(gradient, reader) in readers.get(&x).into_iter().flatten() {
                let slope = rewrite.target.add_one(QuantizeSlope { gradient }, &[copy], &reader.path)?;
                slopes.insert(reader.outputs[0], slope);
            }
        }
    }
    rewrite.finish(graph)
}
