//! The JSON that TypeScript records when it traces a model or a loss.
//!
//! ```json
//! { "version": 1,
//!   "nodes": [
//!     { "op": { "input": { "name": "image", "shape": [28, 28, 1], "meaning": { "int": { "min": 0, "max": 255 } } } } },
//!     { "op": { "normalize_image": { "mean": [0.1307], "std": [0.3081] } }, "inputs": [[0, 0]] },
//!     { "op": { "state": { "path": "conv1.weight", "shape": [16, 1, 3, 3], "kind": "parameter", "init": "kaiming_normal" } } },
//!     { "op": { "conv2d": { "window": { "kernel": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": [1, 1] }, "groups": 1 } },
//!       "inputs": [[1, 0], [2, 0]], "path": "conv1" } ],
//!   "outputs": { "logits": [3, 0] },
//!   "layers": { "conv1": [3, 0] } }
//! ```
//!
//! An op is an object with the op's name as its one key and the attributes of its struct in [`crate::ops`] as the value. A value is `[node, output]`:
//! the position of its node in `nodes` and which of that node's outputs. `layers` says which value a layer's path stands for. Shapes leave the batch
//! out, and it is always the first axis: a spec becomes a [`Graph`] for a batch of some size.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::{Graph, GraphError, NodeId, Op, Value};

/// The version of the format that this library writes and reads.
pub const VERSION: u32 = 1;

/// Which output of which node.
pub type ValueRef = (usize, usize);

/// A traced graph.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// [`VERSION`].
    pub version: u32,
    /// In order of definition.
    pub nodes: Vec<NodeSpec>,
    /// The values that the model returns, by name.
    pub outputs: BTreeMap<String, ValueRef>,
    /// The values of its layers, by path.
    #[serde(default)]
    pub layers: BTreeMap<String, ValueRef>,
}

/// One application of an op.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// The op and its attributes.
    pub op: Op,
    /// From earlier nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<ValueRef>,
    /// The path of the layer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl GraphSpec {
    /// The spec of a graph, node by node; its layers are left empty.
    pub fn of(graph: &Graph) -> Self {
        let mut refs: Vec<ValueRef> = Vec::with_capacity(graph.values().len());
        let mut nodes = Vec::with_capacity(graph.nodes().len());
        for (id, node) in graph.nodes().iter().enumerate() {
            refs.extend((0..node.outputs.len()).map(|output| (id, output)));
            let inputs = node.inputs.iter().map(|value| refs[value.index()]).collect();
            nodes.push(NodeSpec { op: node.op.clone(), inputs, path: node.path.clone() });
        }
        let outputs = graph.outputs().iter().map(|(name, value)| (name.clone(), refs[value.index()])).collect();
        Self { version: VERSION, nodes, outputs, layers: BTreeMap::new() }
    }

    /// Reads a spec.
    pub fn parse(json: &str) -> Result<Self, GraphError> {
        let spec: Self = serde_json::from_str(json).map_err(|e| GraphError::Spec(e.to_string()))?;
        if spec.version == VERSION {
            Ok(spec)
        } else {
            Err(GraphError::Spec(format!("version {} is not understood, only {VERSION}", spec.version)))
        }
    }

    /// Writes a spec.
    pub fn to_json(&self) -> Result<String, GraphError> {
        serde_json::to_string(self).map_err(|e| GraphError::Spec(e.to_string()))
    }

    /// The graph for a batch of that many samples. Its outputs are the spec's outputs and, of its layers, those named in `layers`.
    pub fn graph(&self, batch: usize, layers: &[&str]) -> Result<Graph, GraphError> {
        if batch == 0 {
            return Err(GraphError::Spec("a batch has one sample or more".to_owned()));
        }
        let mut graph = Graph::new(batch);
        let mut inlined = self.inline(&mut graph, &BTreeMap::new())?;
        for (name, value) in std::mem::take(&mut inlined.outputs) {
            graph.set_output(&name, value);
        }
        for &layer in layers {
            let value = inlined.layers.get(layer).ok_or_else(|| GraphError::Unknown {
                kind: "layer",
                name: layer.to_owned(),
                known: inlined.layers.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            graph.set_output(layer, *value);
        }
        Ok(graph)
    }

    /// Appends the spec's nodes to a graph. An input whose name is in `given` becomes that value, another one the graph's own input;
    /// inputs and states that the graph has already are used again.
    pub fn inline(&self, graph: &mut Graph, given: &BTreeMap<String, Value>) -> Result<Inlined, GraphError> {
        let mut values: Vec<Vec<Value>> = Vec::with_capacity(self.nodes.len());
        let resolve = |values: &[Vec<Value>], &(node, output): &ValueRef, from: &dyn Display| {
            values.get(node).and_then(|outputs| outputs.get(output)).copied().ok_or_else(|| {
                GraphError::Spec(format!(
                    "{from} refers to output {output} of node {node}, which is not defined before it"
                ))
            })
        };
        let mut leaves: HashMap<(&'static str, String), NodeId> = HashMap::new();
        for (id, node) in graph.nodes().iter().enumerate().rev() {
            leaves.extend(leaf(&node.op).map(|leaf| (leaf, id)));
        }
        for node in &self.nodes {
            let from = format!("node {} at '{}'", values.len(), node.path);
            let inputs = node.inputs.iter().map(|r| resolve(&values, r, &from)).collect::<Result<Vec<_>, _>>()?;
            let known = match &node.op {
                Op::Input(input) => given.get(&input.name).copied(),
                _ => None,
            };
            let leaf = leaf(&node.op).filter(|_| known.is_none());
            let known = match leaf.as_ref().and_then(|leaf| leaves.get(leaf)).map(|&id| &graph.nodes()[id]) {
                Some(leaf) if leaf.op == node.op => Some(leaf.outputs[0]),
                Some(_) => {
                    let (kind, name) = leaf.unwrap_or_default();
                    let message = format!("{from} has the {kind} '{name}' in another form than before");
                    return Err(GraphError::Spec(message));
                }
                None => known,
            };
            values.push(if let Some(value) = known {
                vec![value]
            } else {
                leaves.extend(leaf.map(|leaf| (leaf, graph.nodes().len())));
                graph.add(node.op.clone(), &inputs, &node.path)?
            });
        }
        let named = |refs: &BTreeMap<String, ValueRef>| {
            refs.iter()
                .map(|(name, r)| Ok((name.clone(), resolve(&values, r, &format_args!("'{name}'"))?)))
                .collect::<Result<BTreeMap<_, _>, GraphError>>()
        };
        Ok(Inlined { outputs: named(&self.outputs)?, layers: named(&self.layers)? })
    }
}

/// The op and name that make two leaves the same memory.
fn leaf(op: &Op) -> Option<(&'static str, String)> {
    let name = match op {
        Op::Input(input) => &input.name,
        Op::Scalar(scalar) => &scalar.name,
        Op::State(state) => &state.path,
        _ => return None,
    };
    Some((op.name(), name.clone()))
}

/// Where the named values of an inlined spec are.
pub struct Inlined {
    /// The spec's outputs.
    pub outputs: BTreeMap<String, Value>,
    /// The spec's layers.
    pub layers: BTreeMap<String, Value>,
}
