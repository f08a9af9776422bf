//! Pseudo-gradients that a host describes as a graph.

use std::collections::BTreeMap;

use crate::op::Backward;
use crate::spec::{GraphSpec, VERSION};
use crate::{GraphError, Meaning, Mismatch, Op, Value};

/// The names that a custom gradient gives and takes.
const INPUTS: [&str; 2] = ["x", "g"];
const OUTPUT: &str = "dx";

/// Appends a custom gradient to the backward half: `x` is the input of the forward node, `g` the gradient that arrives; returns `dx`.
///
/// Scalars are shared by name with the rest of the step, states by path with the model. Every node takes the path of the forward node.
pub(super) fn inline(spec: &GraphSpec, b: &mut Backward, x: Value, g: Value) -> Result<Value, GraphError> {
    let (op, path) = (b.op, b.path);
    let wrong = |message: String| GraphError::Spec(format!("the custom gradient of {op} at '{path}' {message}"));
    if let Some(path) = unknown_state(spec, b) {
        return Err(wrong(format!("reads the state '{path}', which the model does not have")));
    }
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

/// Whether a spec can be a gradient, as far as it alone tells.
pub(super) fn check(spec: &GraphSpec) -> Result<(), Mismatch> {
    let wrong = |expected: String, got: String| Err(Mismatch::new(format!("a custom gradient {expected}"), got));
    if spec.version != VERSION {
        return wrong(format!("of version {VERSION}"), format!("version {}", spec.version));
    }
    if !spec.outputs.keys().eq([OUTPUT]) {
        let names: Vec<_> = spec.outputs.keys().map(|name| format!("'{name}'")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return wrong(format!("that yields '{OUTPUT}' and nothing else"), format!("the outputs: {names}"));
    }
    for node in &spec.nodes {
        match &node.op {
            Op::Input(input) if !INPUTS.contains(&input.name.as_str()) => {
                return wrong(format!("of the inputs {}", INPUTS.join(", ")), format!("the input '{}'", input.name));
            }
            Op::BatchNorm(_) | Op::Dropout(_) => {
                return wrong(
                    "without what differs between training and evaluation".to_owned(),
                    node.op.name().to_owned(),
                );
            }
            op if !op.writes().is_empty() => return wrong("that writes no state".to_owned(), op.name().to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// The first state that a spec reads and the model does not have.
fn unknown_state<'s>(spec: &'s GraphSpec, b: &Backward) -> Option<&'s str> {
    let known = |path: &str| b.graph.nodes().iter().any(|n| matches!(&n.op, Op::State(state) if state.path == path));
    spec.nodes.iter().find_map(|node| match &node.op {
        Op::State(state) if !known(&state.path) => Some(state.path.as_str()),
        _ => None,
    })
}
