//! Gradients of a bounded norm.

use crate::ops::{Arithmetic, ArithmeticFunction, Fill, GlobalNorm};
use crate::{Graph, GraphError, Shape, Value};

/// Scales all gradients by `min(1, max_norm/(norm + 1e-6))`, where norm is that of all their elements together, as `PyTorch`'s `clip_grad_norm_` does
/// (Pascanu et al. 2013). The scaled gradients, by path, and the norm, which may overflow where all gradients are finite.
pub fn clip_gradients(
    graph: &mut Graph,
    gradients: &[(String, Value)],
    max_norm: f32,
) -> Result<(Vec<(String, Value)>, Value), GraphError> {
    let all: Vec<Value> = gradients.iter().map(|&(_, gradient)| gradient).collect();
    let number = |graph: &mut Graph, value| graph.add_one(Fill { value, shape: Shape::default() }, &[], "");
    let norm = graph.add_one(GlobalNorm {}, &all, "")?;
    let (most, eps, one) = (number(graph, max_norm)?, number(graph, 1e-6)?, number(graph, 1.0)?);
    let above = graph.add_one(Arithmetic::ADD, &[norm, eps], "")?;
    let ratio = graph.add_one(Arithmetic::DIV, &[most, above], "")?;
    let factor = graph.add_one(Arithmetic { function: ArithmeticFunction::Min }, &[ratio, one], "")?;
    let scaled = |(path, gradient): &(String, Value)| {
        Ok((path.clone(), graph.add_one(Arithmetic::MUL, &[*gradient, factor], path)?))
    };
    Ok((gradients.iter().map(scaled).collect::<Result<_, GraphError>>()?, norm))
}
