//! What depends on constants alone, computed once.

use crate::{Graph, GraphError, Node, Op, Value};

use super::Frozen;
use super::constants::Constants;

/// Splits a frozen graph, op by op, at the edge of what depends on an input: the rest, such as weights that are kept in 8 bits, is the fold graph, and what
/// the run graph reads of it are its constants. States that the run graph reads itself are outputs of the fold graph too; those that it
/// does not read are none.
pub fn precompute(graph: &Graph) -> Result<Frozen, GraphError> {
    let mut pass = Precompute {
        graph,
        fold: Graph::new(graph.batch()),
        run: Graph::new(graph.batch()),
        values: Vec::new(),
        constants: Constants::default(),
    };
    for node in graph.nodes() {
        pass.node(node)?;
    }
    for (name, value) in graph.outputs() {
        let value = pass.dynamic(*value)?;
        pass.run.set_output(name, value);
    }
    Ok(Frozen { fold: pass.fold, run: pass.run })
}

/// Where a value of the source is.
#[derive(Clone, Copy)]
enum Place {
    Fold(Value),
    Run(Value),
}

struct Precompute<'g> {
    graph: &'g Graph,
    fold: Graph,
    run: Graph,
    /// By index of the source's values.
    values: Vec<Place>,
    constants: Constants,
}

impl Precompute<'_> {
    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let known = |value: &Value| match self.values[value.index()] {
            Place::Fold(value) => Some(value),
            Place::Run(_) => None,
        };
        let known: Option<Vec<Value>> = node.inputs.iter().map(known).collect();
        let known = known.filter(|_| !matches!(node.op, Op::Input(_) | Op::Scalar(_)));
        let places: Vec<Place> = if let Some(inputs) = known {
            self.fold.add(node.op.clone(), &inputs, &node.path)?.into_iter().map(Place::Fold).collect()
        } else {
            let inputs = node.inputs.iter().map(|&v| self.dynamic(v)).collect::<Result<Vec<_>, _>>()?;
            self.run.add(node.op.clone(), &inputs, &node.path)?.into_iter().map(Place::Run).collect()
        };
        self.values.extend(places);
        Ok(())
    }

    /// A value of the source in the run graph.
    fn dynamic(&mut self, value: Value) -> Result<Value, GraphError> {
        let constant = match self.values[value.index()] {
            Place::Run(value) => return Ok(value),
            Place::Fold(value) => value,
        };
        let node = self.graph.producer(value);
        let name = match &node.op {
            Op::State(state) => state.path.clone(),
            op => format!("{}.{}", node.path, op.name()),
        };
        self.constants.read(&mut self.fold, &mut self.run, constant, &name)
    }
}
