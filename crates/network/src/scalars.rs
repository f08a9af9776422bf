//! Who may read the numbers that the host gives with every step.

use binary_nets_graph::Op;
use binary_nets_graph::spec::GraphSpec;

use crate::NetworkError;

/// Refuses a spec, the `what`, that reads a scalar. Evaluation and the frozen network are given samples and no numbers, so only the gradients that a host
/// describes, which are attributes of their ops, may.
pub(crate) fn refuse_scalars(what: &str, spec: &GraphSpec) -> Result<(), NetworkError> {
    for (i, node) in spec.nodes.iter().enumerate() {
        let Op::Scalar(scalar) = &node.op else { continue };
        let reader = spec.nodes.iter().find(|node| node.inputs.contains(&(i, 0))).map(|node| &node.path);
        let output = spec.outputs.iter().find(|(_, value)| **value == (i, 0)).map(|(name, _)| name);
        if let Some(place) = reader.or(output) {
            let place = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
            return Err(NetworkError::Argument(format!(
                "the {what} reads the scalar '{}'{place}; only gradients of one's own may",
                scalar.name
            )));
        }
    }
    Ok(())
}
