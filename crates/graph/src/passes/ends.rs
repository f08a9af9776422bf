//! The float ends of a network in 8 bits: which maps they read, and how far those reach.

use std::collections::HashMap;

use crate::ops::{Reduce, Reduction, Unary, UnaryFunction};
use crate::{Graph, GraphError, Op, Value};

/// How a frozen network computes the products of float maps with constant weights, its ends: the stem, shortcuts and the classifier.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Ends {
    /// The stem in integers, with weights of 16 bits; the others in f32.
    #[default]
    F32,
    /// All in integers, with weights of 8 bits; maps become bytes by their ranges.
    Int8(Ranges),
}

/// Ranges of maps, by values of the evaluation graph that is frozen.
pub type Ranges = HashMap<Value, Range>;

/// The least and the largest number of a map.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Range {
    /// The least.
    pub low: f32,
    /// The largest.
    pub high: f32,
}

impl Range {
    /// The factor and the zero of [`crate::ops::Quantize`], by which 255 steps reach from the least number to the largest, with 0 between them, or at an end.
    pub(super) fn code(self) -> (f32, u8) {
        let (low, high) = (f64::from(self.low.min(0.0)), f64::from(self.high.max(0.0)));
        if low == high {
            return (1.0, 0);
        }
        let factor = (255.0 / (high - low)).min(f64::from(f32::MAX)) as f32;
        (factor, (-low * f64::from(factor)).round_ties_even() as u8)
    }
}

/// The maps of which [`Ends::Int8`] needs ranges, each once: those that products in f32 read. An image is none, for pixels are bytes already.
pub fn float_maps(graph: &Graph) -> Vec<Value> {
    let mut constant = vec![false; graph.values().len()];
    let mut maps = Vec::new();
    for node in graph.nodes() {
        let all = node.inputs.iter().all(|v| constant[v.index()]) && !matches!(node.op, Op::Input(_) | Op::Scalar(_));
        node.outputs.iter().for_each(|v| constant[v.index()] = all);
        let is_product = match &node.op {
            Op::Conv2d(conv) => conv.groups == 1 && !matches!(graph.producer(node.inputs[0]).op, Op::NormalizeImage(_)),
            Op::Matmul(matmul) => !matmul.transpose_a,
            _ => false,
        };
        if is_product && !constant[node.inputs[0].index()] && constant[node.inputs[1].index()] {
            maps.push(node.inputs[0]);
        }
    }
    maps.sort_unstable_by_key(|v| v.index());
    maps.dedup();
    maps
}

/// A graph that yields the extremes of maps image by image: outputs `high<i>` and `low<i>`, each `[n]`, the latter negated, for map `i` of the list.
pub fn extremes(graph: &Graph, maps: &[Value]) -> Result<Graph, GraphError> {
    let mut graph = graph.clone();
    graph.retain_outputs(&[])?;
    for (i, &map) in maps.iter().enumerate() {
        let axes: Vec<usize> = (1..graph.meta(map).shape.len()).collect();
        let negated = graph.add_one(Unary { function: UnaryFunction::Neg }, &[map], "")?;
        for (name, x) in [("high", map), ("low", negated)] {
            let reduce = Reduce { reduction: Reduction::Max, axes: axes.clone(), keep: false };
            let most = graph.add_one(reduce, &[x], "")?;
            graph.set_output(&format!("{name}{i}"), most);
        }
    }
    Ok(graph)
}
