//! Batch norms with what stands right behind them.

use std::collections::{HashMap, HashSet};

use crate::ops::{Arithmetic, BatchNormFused};
use crate::{Graph, GraphError, Op, Value};

use super::rewrite::Rewrite;

/// Takes a map that is added to a norm's result, and a rectifier, into the sweep of the norm, where nothing else reads what lies between.
///
/// For graphs that are not differentiated any more: what is saved is there already.
pub fn fuse_norms(graph: &Graph) -> Result<Graph, GraphError> {
    let tails = Tails::of(graph);
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes().iter().enumerate() {
        if let Some(tail) = tails.by_end.get(&id) {
            let norm = &graph.nodes()[tail.norm];
            let mut inputs = rewrite.get_all(&norm.inputs[..3])?;
            if let Some(other) = tail.other {
                inputs.push(rewrite.get(other)?);
            }
            // The α of integers.
            inputs.extend(rewrite.get_all(&norm.inputs[5..])?);
            let op = BatchNormFused { eps: tail.eps, add: tail.other.is_some(), relu: tail.relu };
            let outputs = rewrite.target.add(op, &inputs, &norm.path)?;
            let replaced = [node.outputs[0], norm.outputs[1], norm.outputs[2]];
            for (from, to) in replaced.into_iter().zip(outputs) {
                rewrite.set(from, to);
            }
        } else if !tails.inner.contains(&id) {
            rewrite.copy(node)?;
        }
    }
    rewrite.finish(graph)
}

/// A norm and what goes into its sweep.
struct Tail {
    norm: usize,
    eps: f64,
    other: Option<Value>,
    relu: bool,
}

/// Nodes by number.
struct Tails {
    /// By the last node of each.
    by_end: HashMap<usize, Tail>,
    /// All other nodes of tails.
    inner: HashSet<usize>,
}

impl Tails {
    fn of(graph: &Graph) -> Self {
        let mut tails = Self { by_end: HashMap::new(), inner: HashSet::new() };
        let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
        for (id, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|&v| readers.entry(v).or_default().push(id));
        }
        let uses = graph.uses();
        // The only node that reads a value which is no output, whatever it reads it as.
        let only = |value: Value| match readers.get(&value)?[..] {
            [id] if uses[value.index()] == 1 => Some((id, &graph.nodes()[id])),
            _ => None,
        };
        let relu = |value: Value| only(value).filter(|(_, node)| matches!(node.op, Op::Relu(_)));
        let sum = |value: Value| {
            let (id, node) = only(value).filter(|(_, node)| node.op == Op::Arithmetic(Arithmetic::ADD))?;
            let other = *node.inputs.iter().find(|&&input| input != value)?;
            (graph.meta(other) == graph.meta(value)).then_some((id, node, other))
        };
        // From the last one: of two norms that are added, the later one takes the other.
        for (id, node) in graph.nodes().iter().enumerate().rev() {
            let Op::BatchNorm(norm) = &node.op else { continue };
            let (mut end, mut inner, mut other) = ((id, node), vec![id], None);
            if let Some((at, add, with)) = sum(node.outputs[0]).filter(|(at, ..)| !tails.has(*at)) {
                (end, other) = ((at, add), Some(with));
            }
            let relu = relu(end.1.outputs[0]);
            if let Some(relu) = relu {
                inner.extend(other.is_some().then_some(end.0));
                end = relu;
            }
            // The statistics come with the sweep, which stands at its end.
            let is_early = |v: &Value| readers.get(v).is_some_and(|ids| ids.iter().any(|&reader| reader < end.0));
            if end.0 == id || node.outputs[1..].iter().any(is_early) {
                continue;
            }
            tails.inner.extend(inner);
            tails.by_end.insert(end.0, Tail { norm: id, eps: norm.eps, other, relu: relu.is_some() });
        }
        tails
    }

    fn has(&self, id: usize) -> bool {
        self.inner.contains(&id) || self.by_end.contains_key(&id)
    }
}
