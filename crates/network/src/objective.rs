//! An objective, a loss and metrics, in the graph that it is computed in.

use std::collections::BTreeMap;

use binary_nets_exec::Backend;
use binary_nets_graph::ops::Input;
use binary_nets_graph::passes::dce;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError, Meaning, Op, Value};

use crate::scalars::refuse_scalars;
use crate::{Network, NetworkError};

impl<B: Backend> Network<B> {
    /// The graph of a model and an objective on its outputs, for a batch.
    pub(crate) fn with_objective(&self, objective: &GraphSpec, batch: usize) -> Result<Graph, NetworkError> {
        let mut graph = Graph::new(batch);
        let outputs = self.spec.inline(&mut graph, &BTreeMap::new())?.outputs;
        self.add_objective(&mut graph, objective, outputs)?;
        Ok(graph)
    }

    /// The objective alone; the model's outputs are its inputs, of the shapes that the model gives them.
    pub(crate) fn objective_graph(&self, objective: &GraphSpec, batch: usize) -> Result<Graph, NetworkError> {
        let model = self.model(batch, &[])?;
        let mut graph = Graph::new(batch);
        let mut outputs = BTreeMap::new();
        for (name, value) in model.outputs() {
            let meta = model.meta(*value);
            let input = Input { name: name.clone(), shape: meta.shape[1..].into(), meaning: meta.meaning };
            outputs.insert(name.clone(), graph.add_one(input, &[], "")?);
        }
        self.add_objective(&mut graph, objective, outputs)?;
        Ok(dce(&graph)?)
    }

    /// Appends an objective to a graph that has the model's outputs; its outputs become the graph's.
    fn add_objective(
        &self,
        graph: &mut Graph,
        objective: &GraphSpec,
        mut given: BTreeMap<String, Value>,
    ) -> Result<(), NetworkError> {
        refuse_scalars("loss", objective)?;
        let logits = given.get("logits").map(|value| graph.meta(*value).shape.to_vec());
        given.extend(self.teacher_inputs(graph, objective)?);
        let inlined = objective.inline(graph, &given).map_err(|error| explain(error, objective, logits.as_deref()))?;
        for (name, value) in inlined.outputs {
            graph.set_output(&name, value);
        }
        Ok(())
    }
}

/// The inputs that an objective declares.
pub(crate) fn inputs(objective: &GraphSpec) -> impl Iterator<Item = &Input> {
    objective.nodes.iter().filter_map(|node| match &node.op {
        Op::Input(input) => Some(input),
        _ => None,
    })
}

/// Says so where an objective fails for labels of other classes than the logits stand for.
fn explain(error: GraphError, objective: &GraphSpec, logits: Option<&[usize]>) -> NetworkError {
    let label = inputs(objective).find(|input| input.name == "label").map(|input| input.meaning);
    match (&error, label, logits) {
        (GraphError::Shape { .. }, Some(Meaning::Index { classes }), Some(&[_, logits]))
            if classes as usize != logits =>
        {
            NetworkError::Argument(other_classes(classes as usize, logits))
        }
        _ => error.into(),
    }
}

/// That data do not suit a network.
pub(crate) fn other_classes(data: usize, logits: usize) -> String {
    format!("the data has {data} classes, the network's logits have {logits}")
}
