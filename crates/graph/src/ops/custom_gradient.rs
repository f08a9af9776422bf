//! Pseudo-gradients that a host describes as a graph.

use std::collections::BTreeMap;

use crate::op::Backward;
use crate::spec::{GraphSpec, VERSION};
use crate::{GraphError, Meaning, Op, Value};

/// The names that a custom gradient gives and takes.
const INPUTS: [&str; 2] = ["x", "g"];
const OUTPUT: &str = "dx";

/// Appends a custom gradient to the backward half: `x` is the input of the forward node, `g` the gradient that arrives; returns `dx`.
///
/// Scalars are shared by name with the rest of the step, states by path with the model. Every node takes the path of the forward node.
pub(super) fn inline(spec: &GraphSpec, b: &mut Backward, x: Value, g: Value) -> Result<Value, GraphError> {
    let (op, path) = (b.op, b.path);
    let wrong = |message: String| GraphError::Spec(format!("the custom gradient of {op} at '{path}' {message}"));
    check(spec, b).map_err(wrong)?;
    let mut spec = spec.clone();
    for node in &mut spec.nodes {
        path.clone_into(&mut node.path);
    }
    let given = BTreeMap::from([(INPUTS[0].to_owned(), x), (INPUTS[1].to_owned(), g)]);
    let inlined = spec.inline(b.graph, &given).map_err(|error| match error {
        GraphError::Spec(message) => wrong(format!("is wrong: {message}")),
        other => other,
    })?;
    let dx = inlined.outputs[OUTPUT];
    let (expected, got) = (&b.graph.meta(x).shape, b.graph.meta(dx));
    if got.meaning == Meaning::F32 && got.shape == *expected {
        return Ok(dx);
    }
    let (expected, got) = (format!("a custom gradient dx f32{expected}, of x's shape"), got.to_string());
    Err(GraphError::Shape { op, path: path.to_owned(), expected, got })
}

/// What is wrong with the names that it reads and yields.
fn check(spec: &GraphSpec, b: &Backward) -> Result<(), String> {
    if spec.version != VERSION {
        return Err(format!("has version {}, and only {VERSION} is understood", spec.version));
    }
    if !spec.outputs.keys().eq([OUTPUT]) {
        let names: Vec<_> = spec.outputs.keys().map(|name| format!("'{name}'")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(format!("yields '{OUTPUT}' and nothing else; it has the outputs: {names}"));
    }
    let known = |path: &str| b.graph.nodes().iter().any(|n| matches!(&n.op, Op::State(state) if state.path == path));
    for node in &spec.nodes {
        match &node.op {
            Op::Input(input) if !INPUTS.contains(&input.name.as_str()) => {
                return Err(format!("reads the input '{}'; there are: {}", input.name, INPUTS.join(", ")));
            }
            Op::State(state) if !known(&state.path) => {
                return Err(format!("reads the state '{}', which the model does not have", state.path));
            }
            op if !op.writes().is_empty() => return Err(format!("writes state by {}", op.name())),
            _ => {}
        }
    }
    Ok(())
}
