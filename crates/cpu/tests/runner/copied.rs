//! Graphs whose ops may replace what they read.

use binary_nets_conformance::suite::{Outputs, Values};
use binary_nets_graph::ops::StopGradient;
use binary_nets_graph::{Graph, Meaning, Value};

/// The graph with a copy of that leaf read in its place, and outputs that are copies too: so the copy may be replaced.
pub fn with_copied_leaf(graph: &Graph, copied: usize) -> Graph {
    let mut target = Graph::new(graph.batch());
    let mut map: Vec<Value> = Vec::new();
    let copy = |target: &mut Graph, value| target.add_one(StopGradient {}, &[value], "").unwrap();
    for node in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|v| map[v.index()]).collect();
        let mut outputs = target.add(node.op.clone(), &inputs, &node.path).unwrap();
        if node.outputs.first().is_some_and(|v| v.index() == copied) {
            outputs[0] = copy(&mut target, outputs[0]);
        }
        map.extend(outputs);
    }
    for (name, value) in graph.outputs() {
        let value = map[value.index()];
        let value = if target.meta(value).meaning == Meaning::F32 { copy(&mut target, value) } else { value };
        target.set_output(name, value);
    }
    target
}

/// Equal down to the sign of zeroes.
pub fn same(a: &Outputs, b: &Outputs) -> bool {
    let equal = |a: &Values, b: &Values| match (a, b) {
        (Values::F32(a), Values::F32(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
        (a, b) => a == b,
    };
    let all = |x: &Outputs| x.outputs.clone().into_iter().chain(x.states.clone()).collect::<Vec<_>>();
    let (a, b) = (all(a), all(b));
    a.len() == b.len() && a.iter().zip(&b).all(|((name, x), (other, y))| name == other && equal(x, y))
}
