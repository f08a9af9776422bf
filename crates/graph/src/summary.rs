//! The table of a network: what each layer yields, holds and computes.

use serde::Serialize;

use crate::ops::StateKind;
use crate::{Graph, Op, Shape};

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
    /// Parameters that ship as one bit.
    pub binary_parameters: u64,
    /// Parameters that ship as 32 bits.
    pub float_parameters: u64,
    /// Multiply-adds of one sample.
    pub macs: Macs,
}

/// Rows in order of definition: one for each path that computes something.
///
/// Parameters count for the layer whose path is their path's folder; running statistics and moments are no parameters.
pub fn summary(graph: &Graph) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for node in graph.nodes() {
        let path = match &node.op {
            Op::State(state) => state.path.rsplit_once('.').map_or(state.path.as_str(), |(layer, _)| layer),
            _ => node.path.as_str(),
        };
        if matches!(node.op, Op::Input(_) | Op::Scalar(_)) {
            continue;
        }
        let i = rows.iter().position(|row| row.path == path).unwrap_or_else(|| {
            rows.push(Row {
                path: path.to_owned(),
                kind: String::new(),
                output: Shape::default(),
                binary_parameters: 0,
                float_parameters: 0,
                macs: Macs::default(),
            });
            rows.len() - 1
        });
        let row = &mut rows[i];
        if let Op::State(state) = &node.op {
            let n = state.shape.elements() as u64;
            match state.kind {
                StateKind::Latent => row.binary_parameters += n,
                StateKind::Parameter => row.float_parameters += n,
                StateKind::Statistic | StateKind::Moment | StateKind::Constant => {}
            }
            continue;
        }
        let inputs: Vec<_> = node.inputs.iter().map(|&v| graph.meta(v)).collect();
        let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.meta(v)).collect();
        let macs = node.op.macs(&inputs, &outputs);
        let telling = macs != Macs::default();
        if telling || row.kind.is_empty() || row.macs == Macs::default() {
            node.op.name().clone_into(&mut row.kind);
        }
        if let Some(output) = outputs.first() {
            row.output = output.shape.get(1..).unwrap_or_default().into();
        }
        let n = graph.batch() as u64;
        row.macs.binary += macs.binary / n;
        row.macs.float += macs.float / n;
    }
    rows.retain(|row| !row.kind.is_empty());
    rows
}
