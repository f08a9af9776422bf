//! Reverse-mode differentiation: one graph for forward and backward.

use crate::ops::{Arithmetic, Fill};
use crate::{Backward, Forward, Graph, GraphError, Op, Shape, Value};

use super::rewrite::Rewrite;

/// A graph with its gradients.
pub struct Differentiated {
    /// Forward half, then backward half. The outputs are the source's.
    pub graph: Graph,
    /// The gradient of each parameter that was asked for and that the loss depends on, by path.
    pub gradients: Vec<(String, Value)>,
}

/// One node of the forward half and what it saved.
struct Taped {
    node: usize,
    saved: Vec<Value>,
}

/// Differentiates the output `loss`, an `f32[]`, by the states with the given paths.
///
/// Each op emits what it must save right behind its node, and its vector-Jacobian product into the backward half, in reverse order. A value that is
/// used several times accumulates.
pub fn differentiate(graph: &Graph, loss: &str, paths: &[&str]) -> Result<Differentiated, GraphError> {
    let loss = graph.output(loss)?;
    let meta = graph.meta(loss);
    if !meta.shape.is_empty() || meta.meaning != crate::Meaning::F32 {
        let path = graph.producer(loss).path.clone();
        return Err(GraphError::Shape {
            op: "differentiate",
            path,
            expected: "a loss f32[]".to_owned(),
            got: meta.to_string(),
        });
    }

    let mut rewrite = Rewrite::new(graph);
    let mut wanted = Vec::new();
    let mut tape = Vec::new();
    for node in graph.nodes() {
        let outputs = rewrite.copy(node)?;
        let inputs = rewrite.get_all(&node.inputs)?;
        wanted.resize(rewrite.target.values().len(), false);
        let wants = match &node.op {
            Op::State(state) => paths.contains(&state.path.as_str()),
            _ => inputs.iter().any(|v| wanted[v.index()]),
        };
        for output in &outputs {
            wanted[output.index()] = wants;
        }
        if wants && !node.op.is_leaf() {
            let id = rewrite.target.nodes().len() - 1;
            let saved =
                node.op.save(&mut Forward { graph: &mut rewrite.target, path: &node.path }, &inputs, &outputs)?;
            tape.push(Taped { node: id, saved });
        }
    }
    let loss = rewrite.get(loss)?;
    let mut graph = rewrite.finish(graph)?;
    wanted.resize(graph.values().len(), false);

    let mut gradients: Vec<Option<Value>> = vec![None; graph.values().len()];
    gradients[loss.index()] = Some(graph.add_one(Fill { value: 1.0, shape: Shape::default() }, &[], "")?);
    for Taped { node, saved } in tape.into_iter().rev() {
        let node = graph.nodes()[node].clone();
        let dys: Vec<Option<Value>> = node.outputs.iter().map(|v| gradients[v.index()]).collect();
        if dys.iter().all(Option::is_none) {
            continue;
        }
        let wants: Vec<bool> = node.inputs.iter().map(|v| wanted[v.index()]).collect();
        let mut backward =
            Backward { graph: &mut graph, path: &node.path, op: node.op.name(), inputs: &node.inputs, wanted: &wants };
        let dxs = node.op.vjp(&mut backward, &saved, &dys)?;
        for ((&input, dx), wants) in node.inputs.iter().zip(dxs).zip(wants) {
            let Some(dx) = dx.filter(|_| wants) else { continue };
            let sum = match gradients[input.index()] {
                Some(before) => graph.add_one(Arithmetic::ADD, &[before, dx], &node.path)?,
                None => dx,
            };
            gradients[input.index()] = Some(sum);
        }
    }
    let gradient = |node: &crate::Node| match &node.op {
        Op::State(state) if paths.contains(&state.path.as_str()) => {
            Some((state.path.clone(), gradients[node.outputs[0].index()]?))
        }
        _ => None,
    };
    let gradients = graph.nodes().iter().filter_map(gradient).collect();
    Ok(Differentiated { graph, gradients })
}
