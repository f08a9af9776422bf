//! What stands behind a convolution goes into it.

use std::collections::HashMap;

use crate::ops::{Extent, Fused, FusedNode};
use crate::{Graph, GraphError, Meaning, Node, NodeId, Op, Value};

use super::rewrite::Rewrite;

/// Fuses a frozen run graph: a binary or ternary convolution, or that of the image, takes in its affine, then the element-wise ops behind it as long as each value has one reader
/// alone, then the codes of the last value, through a bias that only they read. So it reads bits and writes at most one map of floats and one of
/// bits. That of the image takes in the max pool behind it too. Runs of element-wise ops that are left — behind a pool or a float product — are fused in the same way.
///
/// Binary convolutions choose first: where two maps meet, the sum is computed with the first one's, and the other's element-wise ops go with it unless they are
/// a convolution's own. Of codes that are made twice of one value, the first stay. No number changes.
pub fn fuse(graph: &Graph) -> Result<Graph, GraphError> {
    let mut pass = Fuse::new(graph);
    let nodes = graph.nodes();
    let (products, others): (Vec<NodeId>, Vec<NodeId>) =
        (0..nodes.len()).partition(|&id| matches!(nodes[id].op, Op::BinaryConv2d(_) | Op::TernaryConv2d(_)));
    for head in products.into_iter().chain(others) {
        if let Some(source) = pass.source(head) {
            pass.grow(source);
        }
    }
    pass.finish()
}

/// Nodes that become one.
struct Group {
    /// In an order in which they can be computed.
    nodes: Vec<NodeId>,
    /// Where the one stands: what reads a map reads it behind this node, and behind the nodes that make codes of it there are leaves alone.
    at: NodeId,
    outputs: Vec<Value>,
}

struct Fuse<'g> {
    graph: &'g Graph,
    /// By value: the node that yields it.
    producer: Vec<NodeId>,
    /// By value: the nodes that read it, once for each time; of equal codes of one value the first alone.
    readers: Vec<Vec<NodeId>>,
    /// By value: whether it is a named output.
    named: Vec<bool>,
    /// Codes that are made again of a value, and the first ones.
    again: HashMap<NodeId, NodeId>,
    /// By node.
    group: Vec<Option<usize>>,
    groups: Vec<Group>,
}

impl<'g> Fuse<'g> {
    fn new(graph: &'g Graph) -> Self {
        let values = graph.values().len();
        let (mut producer, mut readers, mut named) = (vec![0; values], vec![Vec::new(); values], vec![false; values]);
        let (mut again, mut first) = (HashMap::new(), HashMap::new());
        for (id, node) in graph.nodes().iter().enumerate() {
            node.outputs.iter().for_each(|v| producer[v.index()] = id);
            if is_codes(&node.op) {
                let made = *first.entry((node.inputs[0], graph.meta(node.outputs[0]).meaning)).or_insert(id);
                if made != id {
                    again.insert(id, made);
                    continue;
                }
            }
            node.inputs.iter().for_each(|v| readers[v.index()].push(id));
        }
        graph.outputs().iter().for_each(|(_, v)| named[v.index()] = true);
        let group = vec![None; graph.nodes().len()];
        Self { graph, producer, readers, named, again, group, groups: Vec::new() }
    }

    fn node(&self, id: NodeId) -> &'g Node {
        &self.graph.nodes()[id]
    }

    fn is_free(&self, id: NodeId) -> bool {
        self.group[id].is_none()
    }

    /// The one reader of a value that leaves nowhere else.
    fn only_reader(&self, value: Value) -> Option<NodeId> {
        match self.readers[value.index()][..] {
            [reader] if !self.named[value.index()] && self.is_free(reader) => Some(reader),
            _ => None,
        }
    }

    /// What a group can begin with at a node: a convolution and its affine, or an element-wise op.
    fn source(&self, head: NodeId) -> Option<Vec<NodeId>> {
        let Node { op, inputs, outputs, .. } = self.node(head);
        match op {
            _ if !self.is_free(head) => None,
            Op::ImageConv2d(_) => self.own_affine(head),
            Op::BinaryConv2d(_) if inputs.len() == 2 => self.own_affine(head),
            Op::TernaryConv2d(_) if inputs.len() == 3 => {
                let affine = self.only_reader(outputs[0])?;
                let own = matches!(self.node(affine).op, Op::TernaryAffine(_))
                    && self.node(affine).inputs[..2] == outputs[..]
                    && self.only_reader(outputs[1]) == Some(affine);
                own.then(|| vec![head, affine])
            }
            Op::Affine(_) => Some(vec![head]),
            _ => inputs.iter().any(|&flow| self.is_step(head, flow)).then(|| vec![head]),
        }
    }

    /// A convolution and the affine that alone reads its integers.
    fn own_affine(&self, conv: NodeId) -> Option<Vec<NodeId>> {
        let integers = self.node(conv).outputs[0];
        let affine = self.only_reader(integers)?;
        let own = matches!(self.node(affine).op, Op::Affine(_)) && self.node(affine).inputs[0] == integers;
        own.then(|| vec![conv, affine])
    }

    /// Whether a node changes a map of floats element by element, with operands that can be walked beside it.
    fn is_step(&self, id: NodeId, flow: Value) -> bool {
        let Node { op, inputs, outputs, .. } = self.node(id);
        let (map, y) = (self.graph.meta(flow), &self.graph.meta(outputs[0]).shape);
        if map.meaning != Meaning::F32 || inputs.iter().filter(|&&v| v == flow).count() != 1 {
            return false;
        }
        match op {
            Op::Relu(_) | Op::Clamp(_) => true,
            // The same rows under other extents.
            Op::Reshape(_) | Op::StopGradient(_) => y.channels() == map.shape.channels(),
            Op::Prelu(_) | Op::Affine(_) => inputs[0] == flow && !has_border(op),
            Op::Arithmetic(_) => {
                let extent = |v: &Value| *v == flow || Extent::of(&self.graph.meta(*v).shape, y).is_some();
                *y == map.shape && inputs.iter().all(extent)
            }
            _ => false,
        }
    }

    /// Goes on from a group's first nodes as far as it can, and keeps what makes more than one node one.
    fn grow(&mut self, mut nodes: Vec<NodeId>) {
        let mut at = nodes[nodes.len() - 1];
        let mut end = self.node(at).outputs[0];
        while let Some(next) = self.only_reader(end) {
            if self.is_step(next, end) {
                nodes.extend(self.side(next, end));
            } else if !self.pools_image(&nodes, next) {
                break;
            }
            nodes.push(next);
            (at, end) = (next, self.node(next).outputs[0]);
        }
        let codes = self.codes(end);
        let mut outputs = Vec::new();
        let elsewhere = self.readers[end.index()].iter().any(|reader| Some(reader) != codes.first());
        if codes.is_empty() || elsewhere || self.named[end.index()] {
            outputs.push(end);
        }
        outputs.extend(codes.last().map(|&last| self.node(last).outputs[0]));
        nodes.extend(codes);
        // A reshape alone is none, and neither is an op with nothing but reshapes behind it.
        if nodes.iter().filter(|&&id| !matches!(self.node(id).op, Op::Reshape(_) | Op::StopGradient(_))).count() > 1 {
            for &id in &nodes {
                self.group[id] = Some(self.groups.len());
            }
            self.groups.push(Group { nodes, at, outputs });
        }
    }

    /// Whether a node is a max pool right behind the convolution of the image, its affine, and perhaps its rectifier: their rows are pooled as they are made.
    fn pools_image(&self, nodes: &[NodeId], next: NodeId) -> bool {
        let ops: Vec<&Op> = nodes.iter().map(|&id| &self.node(id).op).collect();
        matches!(ops[..], [Op::ImageConv2d(_), Op::Affine(_)] | [Op::ImageConv2d(_), Op::Affine(_), Op::Relu(_)])
            && matches!(self.node(next).op, Op::MaxPool2d(_))
    }

    /// The element-wise ops that yield the other map that a node reads besides `flow`, and that nobody else reads; those of a convolution's integers are the
    /// convolution's.
    fn side(&self, node: NodeId, flow: Value) -> Vec<NodeId> {
        let mut run = Vec::new();
        let Some(mut value) = self.node(node).inputs.iter().copied().find(|&v| v != flow && self.is_map(v, flow))
        else {
            return run;
        };
        let mut reader = node;
        while self.only_reader(value) == Some(reader) {
            let id = self.producer[value.index()];
            let Node { op, inputs, .. } = self.node(id);
            if !self.is_free(id)
                || !matches!(op, Op::Relu(_) | Op::Clamp(_) | Op::Prelu(_) | Op::Affine(_) | Op::Arithmetic(_))
            {
                break;
            }
            let mut maps = inputs.iter().copied().filter(|&v| self.is_map(v, value));
            match (maps.next(), maps.next()) {
                (Some(map), None) if self.is_step(id, map) => (value, reader) = (map, id),
                (Some(map), None) if self.graph.meta(map).meaning != Meaning::F32 => return Vec::new(),
                _ => break,
            }
            run.push(id);
        }
        run.reverse();
        run
    }

    fn is_map(&self, value: Value, like: Value) -> bool {
        let (value, like) = (&self.graph.meta(value).shape, &self.graph.meta(like).shape);
        matches!(Extent::of(value, like), Some(Extent::Map)) || value == like
    }

    /// The nodes that make codes of a value, through constants that only these codes read.
    fn codes(&self, value: Value) -> Vec<NodeId> {
        let readers = || self.readers[value.index()].iter().copied().filter(|&id| self.is_free(id));
        if let Some(codes) = readers().find(|&id| is_codes(&self.node(id).op)) {
            return vec![codes];
        }
        readers().find_map(|first| self.coding(first, value)).unwrap_or_default()
    }

    fn coding(&self, first: NodeId, value: Value) -> Option<Vec<NodeId>> {
        let (mut run, mut id, mut flow) = (Vec::new(), first, value);
        let is_leaf = |v: &Value| self.node(self.producer[v.index()]).op.is_leaf();
        while !is_codes(&self.node(id).op) {
            let Node { inputs, outputs, .. } = self.node(id);
            if !self.is_step(id, flow) || inputs.iter().any(|v| *v != flow && !is_leaf(v)) {
                return None;
            }
            run.push(id);
            flow = outputs[0];
            id = self.only_reader(flow)?;
        }
        run.push(id);
        Some(run)
    }

    /// The graph with every group as one node; leaves come first, so that they are there wherever a group stands.
    fn finish(self) -> Result<Graph, GraphError> {
        let mut rewrite = Rewrite::new(self.graph);
        for node in self.graph.nodes().iter().filter(|node| node.op.is_leaf()) {
            rewrite.copy(node)?;
        }
        for (id, node) in self.graph.nodes().iter().enumerate().filter(|(_, node)| !node.op.is_leaf()) {
            match (self.group[id], self.again.get(&id)) {
                (_, Some(&first)) => {
                    let codes = rewrite.get(self.node(first).outputs[0])?;
                    rewrite.set(node.outputs[0], codes);
                }
                (Some(group), None) => {
                    let group = &self.groups[group];
                    if group.at == id {
                        self.emit(group, &mut rewrite)?;
                    }
                }
                (None, None) => {
                    rewrite.copy(node)?;
                }
            }
        }
        rewrite.finish(self.graph)
    }

    fn emit(&self, group: &Group, rewrite: &mut Rewrite) -> Result<(), GraphError> {
        let yielded: Vec<Value> = group.nodes.iter().flat_map(|&id| self.node(id).outputs.iter().copied()).collect();
        let mut inputs: Vec<Value> = Vec::new();
        for value in group.nodes.iter().flat_map(|&id| &self.node(id).inputs) {
            if !yielded.contains(value) && !inputs.contains(value) {
                inputs.push(*value);
            }
        }
        let number = |value: &Value| {
            let input = inputs.iter().position(|v| v == value);
            input.or_else(|| yielded.iter().position(|v| v == value).map(|i| inputs.len() + i)).unwrap_or_default()
        };
        let body = group.nodes.iter().map(|&id| {
            let node = self.node(id);
            FusedNode { op: node.op.clone(), inputs: node.inputs.iter().map(number).collect() }
        });
        let fused = Fused { body: body.collect(), outputs: group.outputs.iter().map(number).collect() };
        let inputs = rewrite.get_all(&inputs)?;
        let path = &self.node(group.nodes[0]).path;
        let outputs = rewrite.target.add(fused, &inputs, path)?;
        for (&from, to) in group.outputs.iter().zip(outputs) {
            rewrite.set(from, to);
        }
        Ok(())
    }
}

fn has_border(op: &Op) -> bool {
    matches!(op, Op::Affine(affine) if affine.border.is_some())
}

fn is_codes(op: &Op) -> bool {
    matches!(op, Op::Sign(_) | Op::Step(_))
}
