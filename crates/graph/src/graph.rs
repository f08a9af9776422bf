//! The one graph type.

use std::fmt;

use crate::{GraphError, Mismatch, Op, ValueMeta};

/// A value of a graph: an index into its values, in order of definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Value(pub(crate) u32);

impl Value {
    /// The position in the graph's order of definition.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// A node of a graph: an index into its nodes.
pub type NodeId = usize;

/// One application of an op.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From what.
    pub inputs: Vec<Value>,
    /// The values that this node defines.
    pub outputs: Vec<Value>,
    /// The path of the layer that the node came from, for messages: `layer2.0.conv1`.
    pub path: String,
}

/// Nodes in order of definition, with the meaning and shape of every value, and named outputs.
#[derive(Clone, PartialEq, Debug)]
pub struct Graph {
    batch: usize,
    nodes: Vec<Node>,
    values: Vec<(ValueMeta, NodeId)>,
    outputs: Vec<(String, Value)>,
}

impl Graph {
    /// An empty graph whose inputs carry `batch` samples.
    pub const fn new(batch: usize) -> Self {
        Self { batch, nodes: Vec::new(), values: Vec::new(), outputs: Vec::new() }
    }

    /// The number of samples in a batch.
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The ops of all nodes, in order, for attributes that no shape depends on.
    pub(crate) fn ops_mut(&mut self) -> impl Iterator<Item = &mut Op> {
        self.nodes.iter_mut().map(|node| &mut node.op)
    }

    /// All values, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value> + use<> {
        (0..self.values.len() as u32).map(Value)
    }

    /// Meaning and shape of a value.
    pub fn meta(&self, value: Value) -> &ValueMeta {
        &self.values[value.index()].0
    }

    /// The node that defines a value.
    pub fn producer(&self, value: Value) -> &Node {
        &self.nodes[self.values[value.index()].1]
    }

    /// Appends a node; its outputs' shapes are inferred here and nowhere else.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[Value], path: &str) -> Result<Vec<Value>, GraphError> {
        let op = op.into();
        let metas: Vec<&ValueMeta> = inputs.iter().map(|&v| self.meta(v)).collect();
        let inferred = op.infer(&metas, self.batch).and_then(|inferred| {
            match inferred.iter().find(|meta| !meta.shape.is_possible()) {
                Some(meta) => Err(Mismatch::new("fewer than 2^31 elements", meta.to_string())),
                None => Ok(inferred),
            }
        });
        let inferred = inferred.map_err(|m| GraphError::Shape {
            op: op.name(),
            path: path.to_owned(),
            expected: m.expected,
            got: m.got,
        })?;
        let node = self.nodes.len();
        let outputs = inferred
            .into_iter()
            .map(|meta| {
                self.values.push((meta, node));
                Value(self.values.len() as u32 - 1)
            })
            .collect::<Vec<_>>();
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: outputs.clone(), path: path.to_owned() });
        Ok(outputs)
    }

    /// Appends a node with one output.
    pub fn add_one(&mut self, op: impl Into<Op>, inputs: &[Value], path: &str) -> Result<Value, GraphError> {
        self.add(op, inputs, path).map(|outputs| outputs[0])
    }

    /// The named outputs, in order of naming.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// The value of a named output.
    pub fn output(&self, name: &str) -> Result<Value, GraphError> {
        self.outputs.iter().find(|(n, _)| n == name).map(|&(_, value)| value).ok_or_else(|| GraphError::Unknown {
            kind: "output",
            name: name.to_owned(),
            known: self.outputs.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Names a value as an output; a name that exists is moved.
    pub fn set_output(&mut self, name: &str, value: Value) {
        match self.outputs.iter_mut().find(|(n, _)| n == name) {
            Some(output) => output.1 = value,
            None => self.outputs.push((name.to_owned(), value)),
        }
    }

    /// Keeps only the named outputs, in the order asked for.
    pub fn retain_outputs(&mut self, names: &[&str]) -> Result<(), GraphError> {
        self.outputs = names.iter().map(|&n| self.output(n).map(|v| (n.to_owned(), v))).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// How often each value is read by nodes or named as an output.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let read = self.nodes.iter().flat_map(|n| n.inputs.iter().copied());
        for value in read.chain(self.outputs.iter().map(|&(_, v)| v)) {
            uses[value.index()] += 1;
        }
        uses
    }
}
