//! Where the time of a frozen network goes.

use std::collections::BTreeMap;

use binary_nets_exec::{Backend, Region, Step, StepTime};
use binary_nets_graph::passes::{Writes, fused_names, writes};
use binary_nets_graph::{Graph, Node, Op};
use serde::Serialize;

/// One step of a frozen network: a layer, or several that run together.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerTime {
    /// The path of the layer.
    pub path: String,
    /// What it is, for sums.
    pub kind: LayerKind,
    /// The first op's name.
    pub op: &'static str,
    /// The names of the ops that it is computed with, in order.
    pub fused: Vec<&'static str>,
    /// What leaves it.
    pub writes: Writes,
    /// The name of the kernel that was chosen.
    pub kernel: &'static str,
    /// The shortest time of several runs, less what a run of no step takes; 0 where that is all.
    pub seconds: f64,
    /// Multiply-adds.
    pub macs: u64,
    /// Bytes of everything that it reads and writes, once each: inputs, constants as they were laid, outputs.
    pub bytes: usize,
    /// Multiply-adds a second that the kernel reaches at best on this machine: where everything lies in the nearest memory, or in a layer of this very run that was faster.
    pub peak: Option<f64>,
}

/// What kind of work a layer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// A convolution of bits.
    Binary,
    /// A convolution of the image, in integers.
    Image,
    /// A convolution or product of floats.
    Float,
    /// A pool or a sum over pixels.
    Pool,
    /// Everything else.
    Other,
}

/// A row for each step of a program, which was planned from `graph`.
pub(crate) fn layer_times<B: Backend>(
    backend: &B,
    graph: &Graph,
    steps: &[Step<B::Kernel>],
    times: Vec<StepTime>,
) -> Vec<LayerTime> {
    // Steps that write no state have the order of their nodes.
    let nodes = graph.nodes().iter().filter(|node| !node.op.is_leaf());
    let rows = nodes.zip(steps).zip(times).map(|((node, step), time)| row(graph, node, step, time));
    let mut rows: Vec<LayerTime> = rows.collect();
    let mut peaks: BTreeMap<&'static str, Option<f64>> = BTreeMap::new();
    for LayerTime { kernel, seconds, macs, .. } in rows.iter().filter(|row| row.macs > 0) {
        let peak = peaks.entry(kernel).or_insert_with(|| backend.peak(kernel));
        let rate = if *seconds > 0.0 { *macs as f64 / seconds } else { 0.0 };
        *peak = peak.map(|peak| peak.max(rate));
    }
    for row in rows.iter_mut().filter(|row| row.macs > 0) {
        row.peak = peaks.get(row.kernel).copied().flatten();
    }
    rows
}

fn row<K>(graph: &Graph, node: &Node, step: &Step<K>, time: StepTime) -> LayerTime {
    let inputs: Vec<_> = node.inputs.iter().map(|&v| graph.meta(v)).collect();
    let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.meta(v)).collect();
    let macs = node.op.macs(&inputs, &outputs);
    let (op, fused) = fused_names(&node.op);
    // Of weights that were laid, the kernel reads the result.
    let is_laid =
        |i: usize| step.resident.bytes > 0 && step.inputs[i].region == Region::State && inputs[i].shape.len() > 1;
    let read = (0..inputs.len()).filter(|&i| !is_laid(i)).map(|i| step.inputs[i].bytes).sum::<usize>();
    let written = step.outputs.iter().map(|address| address.bytes).sum::<usize>();
    LayerTime {
        kind: kind(&node.op, macs.binary > 0, macs.float > 0),
        op,
        fused,
        writes: writes(graph, node),
        kernel: time.kernel,
        seconds: time.seconds,
        macs: macs.binary + macs.float,
        bytes: read + step.resident.bytes + written,
        peak: None,
        path: time.path,
    }
}

fn kind(op: &Op, binary: bool, float: bool) -> LayerKind {
    let first = match op {
        Op::Fused(fused) => fused.body.first().map_or(op, |node| &node.op),
        op => op,
    };
    match first {
        _ if binary => LayerKind::Binary,
        Op::ImageConv2d(_) => LayerKind::Image,
        _ if float => LayerKind::Float,
        Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Reduce(_) => LayerKind::Pool,
        _ => LayerKind::Other,
    }
}
