//! Averages of what training changes.

use crate::ops::{MovingAverage, State, StateKind};
use crate::{Graph, GraphError, Op, Value};

use super::attach_updates::add_moment;

/// What the path of a state ends with that is the average of another.
pub const AVERAGE: &str = "#average";

/// Lets a moving average, the state `path#average`, follow each parameter and running statistic that the graph updates, behind all updates.
pub fn attach_averages(graph: &mut Graph, decay: f64) -> Result<(), GraphError> {
    let mut followed: Vec<(String, Value)> = Vec::new();
    for node in graph.nodes() {
        for value in node.op.writes().iter().map(|&w| node.inputs[w]) {
            let Op::State(State { path, kind, .. }) = &graph.producer(value).op else { continue };
            let is_trained = match kind {
                StateKind::Parameter | StateKind::Latent | StateKind::Statistic => true,
                StateKind::Moment | StateKind::Constant => false,
            };
            if is_trained && !followed.iter().any(|(known, _)| known == path) {
                followed.push((path.clone(), value));
            }
        }
    }
    for (path, value) in followed {
        let average = add_moment(graph, format!("{path}{AVERAGE}"), graph.meta(value).shape.clone())?;
        graph.add(MovingAverage { decay }, &[average, value], &path)?;
    }
    Ok(())
}
