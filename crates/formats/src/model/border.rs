//! Affines that tell the border of an image from its inside: they end a convolution of bytes, and nothing else needs one.

use binary_nets_graph::ops::Border;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError, Op};

use crate::FormatError;

/// The most rows and columns of outputs, all affines with a border together. Their cases are counted again whenever a graph is made, and four
/// stems of the largest image have so many.
const LINES: usize = 1 << 17;

/// The border of an affine that has one.
const fn border(op: &Op) -> Option<&Border> {
    if let Op::Affine(affine) = op { affine.border.as_ref() } else { None }
}

/// Borders of so few rows and columns that counting their cases takes no time; windows that do not fit are left to the shape rules.
pub fn bounds(spec: &GraphSpec) -> Result<(), FormatError> {
    let mut lines = 0;
    for node in &spec.nodes {
        let output = border(&node.op).and_then(|border| border.window.output(border.input).ok());
        lines += output.map_or(0, |[rows, columns]| rows + columns);
        if lines > LINES {
            let message = format!(
                "{} at '{}': with it, affines tell borders apart along {lines} rows and columns, not {LINES} at most",
                node.op.name(),
                node.path
            );
            return Err(FormatError::Graph(GraphError::Spec(message)));
        }
    }
    Ok(())
}

/// Borders that are those of the convolution in front.
pub fn sources(graph: &Graph) -> Result<(), FormatError> {
    for node in graph.nodes() {
        let Some(border) = border(&node.op) else { continue };
        let source = graph.producer(node.inputs[0]);
        if !matches!(&source.op, Op::ImageConv2d(conv) if conv.border == *border) {
            let message = format!(
                "{} at '{}': its border is that of an image_conv2d in front of it, and there is {} at '{}'",
                node.op.name(),
                node.path,
                source.op.name(),
                source.path
            );
            return Err(FormatError::Graph(GraphError::Spec(message)));
        }
    }
    Ok(())
}
