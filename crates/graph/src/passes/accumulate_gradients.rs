//! Gradients of several batches for one update.

use crate::ops::{Arithmetic, Assign, Clear, Fill, Finite, Increment};
use crate::{Graph, GraphError, Shape, Value};

use super::attach_updates::{FINITE, add_moment};

/// What the path of a state ends with that sums the gradients of a parameter.
pub const GRADIENT: &str = "#gradient";

/// The state that counts the batches whose gradients have been summed since the last update.
pub const ACCUMULATED: &str = "#accumulated";

/// The step of all batches of an update but the last: adds each gradient to the state `path#gradient`, and 1 to the state [`ACCUMULATED`]. The output
/// [`FINITE`] tells whether that may be done.
pub fn accumulate_gradients(graph: &mut Graph, gradients: &[(String, Value)]) -> Result<(), GraphError> {
    let mut sums = Vec::new();
    for (path, gradient) in gradients {
        let (state, sum) = add_gradient(graph, path, *gradient)?;
        graph.add(Assign {}, &[state, sum], path)?;
        sums.push(sum);
    }
    let count = add_moment(graph, ACCUMULATED.to_owned(), Shape::default())?;
    graph.add(Increment {}, &[count], "")?;
    let finite = graph.add_one(Finite {}, &sums, "")?;
    graph.set_output(FINITE, finite);
    Ok(())
}

/// The step of the last of `batches` batches: the means of the gradients over them, by path. The sums and the count are 0 again.
pub fn accumulated_gradients(
    graph: &mut Graph,
    gradients: &[(String, Value)],
    batches: usize,
) -> Result<Vec<(String, Value)>, GraphError> {
    let number = graph.add_one(Fill { value: batches as f32, shape: Shape::default() }, &[], "")?;
    let means = gradients.iter().map(|(path, gradient)| {
        let (state, sum) = add_gradient(graph, path, *gradient)?;
        graph.add(Clear {}, &[state], path)?;
        Ok((path.clone(), graph.add_one(Arithmetic::DIV, &[sum, number], path)?))
    });
    let means = means.collect::<Result<_, GraphError>>()?;
    let count = add_moment(graph, ACCUMULATED.to_owned(), Shape::default())?;
    graph.add(Clear {}, &[count], "")?;
    Ok(means)
}

/// The state that sums a gradient, and the sum with this batch's.
fn add_gradient(graph: &mut Graph, path: &str, gradient: Value) -> Result<(Value, Value), GraphError> {
    let shape = graph.meta(gradient).shape.clone();
    let state = add_moment(graph, format!("{path}{GRADIENT}"), shape)?;
    Ok((state, graph.add_one(Arithmetic::ADD, &[state, gradient], path)?))
}
