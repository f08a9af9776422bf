//! What passes share: walking one graph while building another.

use crate::{Graph, GraphError, Node, Value};

/// A graph under construction, and which of its values each value of the source has become.
pub(super) struct Rewrite {
    pub target: Graph,
    map: Vec<Option<Value>>,
}

impl Rewrite {
    pub fn new(source: &Graph) -> Self {
        Self { target: Graph::new(source.batch()), map: vec![None; source.values().len()] }
    }

    /// What a value of the source has become.
    pub fn get(&self, value: Value) -> Result<Value, GraphError> {
        self.map[value.index()].ok_or_else(|| GraphError::Spec(format!("{value} is used, but the pass took it out")))
    }

    /// What values of the source have become.
    pub fn get_all(&self, values: &[Value]) -> Result<Vec<Value>, GraphError> {
        values.iter().map(|&v| self.get(v)).collect()
    }

    /// Says what a value of the source becomes.
    pub fn set(&mut self, source: Value, target: Value) {
        self.map[source.index()] = Some(target);
    }

    /// Copies a node of the source; its outputs in the target.
    pub fn copy(&mut self, node: &Node) -> Result<Vec<Value>, GraphError> {
        let inputs = self.get_all(&node.inputs)?;
        let outputs = self.target.add(node.op.clone(), &inputs, &node.path)?;
        for (&from, &to) in node.outputs.iter().zip(&outputs) {
            self.set(from, to);
        }
        Ok(outputs)
    }

    /// Names the outputs as in the source and returns the target.
    pub fn finish(mut self, source: &Graph) -> Result<Graph, GraphError> {
        for (name, value) in source.outputs() {
            let value = self.get(*value)?;
            self.target.set_output(name, value);
        }
        Ok(self.target)
    }
}
