//! Optimizers, attached after differentiation.

use serde::{Deserialize, Serialize};

use crate::ops::{Adam, Bop, Finite, Increment, Scalar, Sgd, State, StateKind};
use crate::{Graph, GraphError, Init, Op, Shape, Value};

/// How one parameter is updated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The parameter.
    pub path: String,
    /// The optimizer.
    pub rule: UpdateRule,
    /// The name of the scalar that is the learning rate; of Bop, γ.
    pub lr: String,
}

/// An optimizer with its numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateRule {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
    /// Flips of binary weights.
    Bop(Bop),
}

/// The output that is 1 where what the updates follow from is finite, else 0.
pub const FINITE: &str = "#finite";

/// Adds an update for each parameter that has one and that the loss depends on. Moments are states named `path#velocity` (SGD), `path#m`, `path#v`,
/// `path#vmax` and `path#t`, the count of the parameter's updates (Adam), `path#momentum` (Bop). The output [`FINITE`] tells whether the updates may be
/// made: whether every gradient is finite, and the `norm` of all of them if they were scaled by one.
pub fn attach_updates(
    graph: &mut Graph,
    gradients: &[(String, Value)],
    norm: Option<Value>,
    updates: &[Update],
) -> Result<(), GraphError> {
    let mut read = Vec::from_iter(norm);
    for update in updates {
        let Some(&(_, gradient)) = gradients.iter().find(|(path, _)| *path == update.path) else { continue };
        read.push(gradient);
        let parameter = find_state(graph, &update.path)?;
        let lr =
            graph.nodes().iter().find(|n| matches!(&n.op, Op::Scalar(s) if s.name == update.lr)).map(|n| n.outputs[0]);
        let lr = lr.map_or_else(|| graph.add_one(Scalar { name: update.lr.clone() }, &[], ""), Ok)?;
        let shape = graph.meta(parameter).shape.clone();
        let moment =
            |graph: &mut Graph, name: &str| add_moment(graph, format!("{}#{name}", update.path), shape.clone());
        match &update.rule {
            UpdateRule::Sgd(sgd) => {
                let mut inputs = vec![parameter, gradient, lr];
                if sgd.momentum != 0.0 {
                    inputs.push(moment(graph, "velocity")?);
                }
                graph.add(sgd.clone(), &inputs, &update.path)?;
            }
            UpdateRule::Adam(adam) => {
                let t = add_moment(graph, format!("{}#t", update.path), Shape::default())?;
                graph.add(Increment {}, &[t], &update.path)?;
                let mut inputs = vec![parameter, gradient, lr, t, moment(graph, "m")?, moment(graph, "v")?];
                if adam.amsgrad {
                    inputs.push(moment(graph, "vmax")?);
                }
                graph.add(adam.clone(), &inputs, &update.path)?;
            }
            UpdateRule::Bop(bop) => {
                let m = moment(graph, "momentum")?;
                graph.add(bop.clone(), &[parameter, gradient, lr, m], &update.path)?;
            }
        }
    }
    let finite = graph.add_one(Finite {}, &read, "")?;
    graph.set_output(FINITE, finite);
    Ok(())
}

/// Adds a state of training's own, which starts at 0.
pub(super) fn add_moment(graph: &mut Graph, path: String, shape: Shape) -> Result<Value, GraphError> {
    let meaning = crate::Meaning::F32;
    graph.add_one(State { path, shape, kind: StateKind::Moment, init: Init::Constant(0.0), meaning }, &[], "")
}

fn find_state(graph: &Graph, path: &str) -> Result<Value, GraphError> {
    let states = || {
        graph
            .nodes()
            .iter()
            .filter_map(|n| if let Op::State(state) = &n.op { Some((state, n.outputs[0])) } else { None })
    };
    states().find(|(state, _)| state.path == path).map(|(_, value)| value).ok_or_else(|| GraphError::Unknown {
        kind: "parameter",
        name: path.to_owned(),
        known: states().map(|(state, _)| state.path.as_str()).collect::<Vec<_>>().join(", "),
    })
}
