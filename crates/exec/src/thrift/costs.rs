//! What the nodes and values of a graph take.

use binary_nets_graph::{Graph, NodeId, Value};

use crate::plan::prepare;
use crate::{Backend, ExecError, InPlace};

/// A float product is as much work as moving that many bytes, and a binary one: a core moves about a quarter of a byte in the time of a float product (15 GB/s, 58·10⁹
/// products a second), and a binary product is some 16 times as fast.
const FLOAT_MAC: f64 = 0.25;
const BINARY_MAC: f64 = 1.0 / 64.0;

/// By numbers of nodes and values.
pub(super) struct Costs {
    pub nodes: Vec<NodeCost>,
    /// The bytes of each value.
    pub bytes: Vec<usize>,
    /// Which values lie in the workspace.
    pub placed: Vec<bool>,
    /// The node of each value.
    pub producer: Vec<NodeId>,
}

pub(super) struct NodeCost {
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    pub in_place: Option<InPlace>,
    pub scratch: usize,
    /// Bytes that are moved, and products as so many bytes.
    pub work: f64,
    pub is_leaf: bool,
    pub writes: bool,
}

impl Costs {
    pub fn of<B: Backend>(backend: &B, graph: &Graph) -> Result<Self, ExecError> {
        let bytes: Vec<usize> = graph.values().map(|v| backend.layout(graph.meta(v)).bytes()).collect();
        let mut placed = vec![true; bytes.len()];
        let mut producer = vec![0; bytes.len()];
        for &(_, value) in graph.outputs() {
            placed[value.index()] = false;
        }
        let mut nodes = Vec::with_capacity(graph.nodes().len());
        for (id, node) in graph.nodes().iter().enumerate() {
            let numbers = |values: &[Value]| values.iter().map(|v| v.index()).collect::<Vec<_>>();
            let (inputs, outputs) = (numbers(&node.inputs), numbers(&node.outputs));
            let is_leaf = node.op.is_leaf();
            for &output in &outputs {
                producer[output] = id;
                placed[output] &= !is_leaf;
            }
            let (in_place, scratch) = if is_leaf {
                (None, 0)
            } else {
                let prepared = prepare(backend, graph, node)?;
                (prepared.in_place, prepared.scratch)
            };
            let metas = |values: &[Value]| values.iter().map(|&v| graph.meta(v)).collect::<Vec<_>>();
            let macs = node.op.macs(&metas(&node.inputs), &metas(&node.outputs));
            let moved: usize = inputs.iter().chain(&outputs).map(|&v| bytes[v]).sum();
            let work = moved as f64 + macs.float as f64 * FLOAT_MAC + macs.binary as f64 * BINARY_MAC;
            nodes.push(NodeCost {
                inputs,
                outputs,
                in_place,
                scratch,
                work,
                is_leaf,
                writes: !node.op.writes().is_empty(),
            });
        }
        Ok(Self { nodes, bytes, placed, producer })
    }

    /// The places of an order that somebody reads, and those that write.
    pub fn without_unread(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let mut wanted: Vec<bool> = self.placed.iter().map(|placed| !placed).collect();
        let mut kept = Vec::with_capacity(nodes.len());
        for &id in nodes.iter().rev() {
            let NodeCost { inputs, outputs, writes, is_leaf, .. } = &self.nodes[id];
            let is_read = outputs.iter().any(|&output| wanted[output]);
            for &output in outputs {
                wanted[output] = false;
            }
            if is_read || *writes || *is_leaf {
                for &input in inputs {
                    wanted[input] = true;
                }
                kept.push(id);
            }
        }
        kept.reverse();
        kept
    }
}
