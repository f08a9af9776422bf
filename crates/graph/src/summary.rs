//! The table of a network: what each layer yields, holds and computes.

use serde::Serialize;

use crate::ops::StateKind;
use crate::{Graph, Meaning, Op, Shape, ValueMeta};

/// Multiply-adds by kind: with ±1 weights on packed bits, and with floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Macs {
    /// On packed bits.
    pub binary: u64,
    /// On floats.
    pub float: u64,
}

/// One layer of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The layer's path.
    pub path: String,
    /// What it is: the name of its most telling op.
    pub kind: String,
    /// The output of one sample, without the batch.
    pub output: Shape,
    /// Parameters that ship as bits: latent weights.
    pub binary_parameters: u64,
    /// The bits that those ship as: one each, or two where they are ternary.
    pub packed_bits: u64,
    /// Parameters that ship as 32 bits.
    pub float_parameters: u64,
    /// Multiply-adds of one sample.
    pub macs: Macs,
}

/// One row for each path that computes or keeps something, in the order in which they are done.
///
/// Parameters count for the layer whose path their node has; running statistics and moments are no parameters.
pub fn summary(graph: &Graph) -> Vec<Row> {
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for (place, node) in graph.nodes().iter().enumerate() {
        if matches!(node.op, Op::Input(_) | Op::Scalar(_)) {
            continue;
        }
        let i = rows.iter().position(|(_, row)| row.path == node.path).unwrap_or_else(|| {
            rows.push((place, Row::new(&node.path)));
            rows.len() - 1
        });
        let (last, row) = &mut rows[i];
        *last = place;
        let inputs: Vec<_> = node.inputs.iter().map(|&v| graph.meta(v)).collect();
        let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.meta(v)).collect();
        let macs = node.op.macs(&inputs, &outputs);
        match &node.op {
            Op::State(state) => {
                let n = state.shape.elements() as u64;
                match state.kind {
                    StateKind::Latent => {
                        row.binary_parameters += n;
                        row.packed_bits += n;
                    }
                    StateKind::Parameter => row.float_parameters += n,
                    StateKind::Statistic | StateKind::Moment | StateKind::Constant => {}
                }
                continue;
            }
            Op::TernarizeWeight(_) => row.packed_bits += inputs[0].shape.elements() as u64,
            _ => {}
        }
        if macs != Macs::default() || row.macs == Macs::default() {
            row.kind = kind(&node.op, &inputs);
        }
        if let Some(output) = outputs.first() {
            row.output = output.shape.get(1..).unwrap_or_default().into();
        }
        let n = graph.batch() as u64;
        row.macs.binary += macs.binary / n;
        row.macs.float += macs.float / n;
    }
    // A block stands behind what is in it, also where it begins with tensors of its own.
    rows.sort_by_key(|(last, _)| *last);
    let kept = |row: &Row| !row.kind.is_empty() || row.binary_parameters + row.float_parameters > 0;
    rows.into_iter().map(|(_, row)| row).filter(kept).collect()
}

impl Row {
    fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            kind: String::new(),
            output: Shape::default(),
            binary_parameters: 0,
            packed_bits: 0,
            float_parameters: 0,
            macs: Macs::default(),
        }
    }
}

/// An op as the table calls it: a convolution of several groups with their number, a function by its own name.
fn kind(op: &Op, inputs: &[&ValueMeta]) -> String {
    let name = match op {
        Op::Arithmetic(op) => op.function.name(),
        Op::Reduce(op) => op.reduction.name(),
        Op::Unary(op) => op.function.name(),
        _ => op.name(),
    };
    let groups = match (op, inputs.first().map(|input| input.meaning)) {
        (Op::Conv2d(conv), _) => conv.groups,
        (Op::BinaryConv2d(_) | Op::TernaryConv2d(_), Some(Meaning::Bit { groups, .. })) => groups,
        _ => 1,
    };
    if groups == 1 { name.to_owned() } else { format!("{name} ×{groups}") }
}
