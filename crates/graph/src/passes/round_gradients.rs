//! Gradients in reduced precision.

use crate::ops::StochasticRounding;
use crate::{Graph, Op};

/// Lets the gradients of binary and ternary convolutions be products of whole numbers, rounded at random, each in a stream of its own.
pub fn round_gradients(graph: &mut Graph) {
    for (op, stream) in graph.ops_mut().zip(0..) {
        let rounding = match op {
            Op::BinaryConv2dGradInput(op) => &mut op.rounding,
            Op::BinaryConv2dGradWeight(op) => &mut op.rounding,
            Op::TernaryConv2dGradInput(op) => &mut op.rounding,
            _ => continue,
        };
        *rounding = Some(StochasticRounding { stream });
    }
}
