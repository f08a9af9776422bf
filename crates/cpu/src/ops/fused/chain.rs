//! From the body of a fused op to what the kernel does.

use binary_nets_bits::Codes;
use binary_nets_exec::IoMeta;
use binary_nets_graph::ops::{
    Arithmetic, ArithmeticFunction, Border, Clamp, Extent, Fused, FusedNode, FusedValue, ImageConv2d, TernaryConv2d,
};
use binary_nets_graph::{Meaning, Op, Shape, Window, ops::BinaryConv2d};

use super::steps::{Change, Operand, Step};

/// Where the rows come from; numbers are those of inputs.
pub enum Source {
    /// The integers of a binary convolution of the first two inputs, and their affine.
    Binary { conv: BinaryConv2d, a: usize, c: usize },
    /// The integers of a ternary convolution of the first three inputs, and their affine.
    Ternary { conv: TernaryConv2d, constants: [usize; 3] },
    /// The integers of a convolution of the image, with the first two inputs, and their affine.
    Image { conv: ImageConv2d, a: usize, c: usize, border: Option<Border> },
    /// The affine of a map of numbers.
    Affine { x: usize, a: usize, c: usize, border: Option<Border> },
    /// A map of floats.
    Floats { x: usize },
}

/// A body as a run of steps from one source, with one map and codes on the way.
pub struct Chain {
    pub source: Source,
    /// Whether the rectifier stands right behind the source's affine.
    pub relu: bool,
    /// A max pool behind these two.
    pub pool: Option<Window>,
    /// Up to the map or, where none leaves, to the codes.
    pub steps: Vec<Step>,
    /// From the map on to the codes.
    pub coding: Vec<Step>,
    /// The output that is the map.
    pub map: Option<usize>,
    /// The output that is codes.
    pub codes: Option<(Codes, usize)>,
    /// The shape of the map.
    pub shape: Shape,
}

/// The position of a node in the body, and which of its inputs the rows flow through.
type Link = (usize, usize);

struct Body<'f> {
    fused: &'f Fused,
    values: Vec<FusedValue>,
    inputs: usize,
    /// By value: whether it comes from the node where the rows start.
    started: Vec<bool>,
    /// How many nodes have found their place.
    placed: usize,
}

impl Chain {
    /// The steps of a body, or why it has none.
    pub fn new(fused: &Fused, io: &IoMeta) -> Result<Self, String> {
        let values = fused.values(&io.inputs).map_err(|e| format!("expected {}, got {}", e.expected, e.got))?;
        // Rows start where codes or integers are read: nothing beside them can. A body of floats alone starts with its first node.
        let reads_floats = |node: &FusedNode| node.inputs.iter().all(|&i| values[i].meta.meaning == Meaning::F32);
        let start = fused.body.iter().position(|node| !reads_floats(node)).unwrap_or_default();
        let mut started = vec![false; values.len()];
        for (i, value) in values.iter().enumerate() {
            let Some(node) = value.node else { continue };
            started[i] = node == start || fused.body[node].inputs.iter().any(|&input| started[input]);
        }
        let mut body = Body { fused, values, inputs: io.inputs.len(), started, placed: 0 };
        let (codes, maps): (Vec<usize>, Vec<usize>) =
            (0..fused.outputs.len()).partition(|&i| matches!(io.outputs[i].meaning, Meaning::Bit { .. }));
        let ((&[], &[_]) | (&[_], &[] | &[_])) = (&codes[..], &maps[..]) else {
            return Err(format!("{} outputs of codes and {} maps", codes.len(), maps.len()));
        };
        let codes = codes.first().map(|&output| {
            let codes = if let Meaning::Bit { codes, .. } = io.outputs[output].meaning { codes } else { Codes::Sign };
            (codes, output)
        });
        let map = maps.first().copied();
        let mut end = fused.outputs[codes.map_or_else(|| map.unwrap_or_default(), |(_, output)| output)];
        if codes.is_some() {
            let node = body.node(end).filter(|node| matches!(node.op, Op::Sign(_) | Op::Step(_)));
            end = node.ok_or("codes that neither sign nor step makes")?.inputs[0];
            body.placed += 1;
        }
        body.chain(end, map, codes)
    }
}

impl<'f> Body<'f> {
    fn node(&self, value: usize) -> Option<&'f FusedNode> {
        self.values[value].node.map(|node| &self.fused.body[node])
    }

    fn is_floats(&self, value: usize) -> bool {
        self.values[value].meta.meaning == Meaning::F32
    }

    fn shape(&self, value: usize) -> &Shape {
        &self.values[value].meta.shape
    }

    /// The whole run that ends in a value.
    fn chain(mut self, end: usize, map: Option<usize>, codes: Option<(Codes, usize)>) -> Result<Chain, String> {
        let (links, first) = self.links(end)?;
        let mut links = links.into_iter().rev().peekable();
        let mut value = first;
        let mut source = Source::Floats { x: first };
        if let Some(FusedNode { op, inputs }) = links.peek().map(|&(position, _)| &self.fused.body[position]) {
            let conv = self.node(first).map(|node| (&node.op, &node.inputs[..]));
            source = match (op, conv) {
                (Op::Affine(affine), Some((Op::BinaryConv2d(conv), [0, 1]))) if affine.border.is_none() => {
                    Source::Binary { conv: conv.clone(), a: inputs[1], c: inputs[2] }
                }
                (Op::Affine(affine), Some((Op::ImageConv2d(conv), [0, 1]))) => {
                    Source::Image { conv: conv.clone(), a: inputs[1], c: inputs[2], border: affine.border }
                }
                (Op::TernaryAffine(_), Some((Op::TernaryConv2d(conv), [0, 1, 2]))) => {
                    Source::Ternary { conv: conv.clone(), constants: [inputs[2], inputs[3], inputs[4]] }
                }
                (Op::Affine(affine), None) => {
                    Source::Affine { x: first, a: inputs[1], c: inputs[2], border: affine.border }
                }
                (_, None) if self.is_floats(first) => source,
                (op, None) => return Err(format!("{} of {}", op.name(), self.values[first].meta)),
                (op, Some((conv, _))) => return Err(format!("{} behind {}", op.name(), conv.name())),
            };
        }
        self.placed += usize::from(self.node(first).is_some());
        if !matches!(source, Source::Floats { .. }) {
            value = links.next().map_or(value, |link| self.output(link.0));
            self.placed += 1;
        }
        let map_value = map.map(|output| self.fused.outputs[output]);
        let shape = self.shape(end).clone();
        let mut chain =
            Chain { source, relu: false, pool: None, steps: Vec::new(), coding: Vec::new(), map, codes, shape };
        let mut tapped = map_value == Some(value);
        for link in links {
            if let Op::MaxPool2d(pool) = &self.fused.body[link.0].op {
                if !matches!(chain.source, Source::Image { .. }) || tapped || !chain.steps.is_empty() {
                    return Err("a pool of other rows than those of the image".to_owned());
                }
                self.placed += 1;
                chain.pool = Some(pool.window);
            } else {
                let steps = self.steps(link)?;
                chain.push(steps, tapped);
            }
            tapped |= map_value == Some(self.output(link.0));
        }
        if self.placed != self.fused.body.len() || tapped != map.is_some() {
            return Err("a body that is no single run of steps".to_owned());
        }
        Ok(chain)
    }

    /// The first value that the node at a position yields.
    fn output(&self, position: usize) -> usize {
        self.values.iter().position(|value| value.node == Some(position)).unwrap_or_default()
    }

    /// The element-wise nodes that a value comes from, last first, and what they start from: an input, or what a convolution yields.
    fn links(&self, mut value: usize) -> Result<(Vec<Link>, usize), String> {
        let mut links = Vec::new();
        while let Some(position) = self.values[value].node {
            let node = &self.fused.body[position];
            let flow = match &node.op {
                Op::BinaryConv2d(_) | Op::TernaryConv2d(_) | Op::ImageConv2d(_) => break,
                Op::Arithmetic(_) => self.flow(node, value)?,
                Op::Relu(_)
                | Op::Prelu(_)
                | Op::Clamp(_)
                | Op::Affine(_)
                | Op::TernaryAffine(_)
                | Op::MaxPool2d(_)
                | Op::Reshape(_)
                | Op::StopGradient(_) => 0,
                op => return Err(format!("{} on the way", op.name())),
            };
            links.push((position, flow));
            value = node.inputs[flow];
        }
        Ok((links, value))
    }

    /// The operand that the rows flow through: of those that have the shape of the result the one that comes from where the rows start; beside them the first
    /// that is computed here, else the first.
    fn flow(&self, node: &FusedNode, value: usize) -> Result<usize, String> {
        let maps = || (0..2).filter(|&i| self.shape(node.inputs[i]) == self.shape(value));
        let started = maps().find(|&i| self.started[node.inputs[i]]);
        let computed = || maps().find(|&i| node.inputs[i] >= self.inputs);
        let flow = started.or_else(computed).or_else(|| maps().next());
        flow.ok_or_else(|| format!("an operand that is stretched to {}", self.shape(value)))
    }

    /// An input as an operand of rows of a map.
    fn operand(&self, input: usize, map: usize) -> Result<(usize, Extent), String> {
        let extent = Extent::of(self.shape(input), self.shape(map)).filter(|_| input < self.inputs);
        extent.map(|extent| (input, extent)).ok_or_else(|| format!("the operand {}", self.values[input].meta))
    }

    /// What a node does to the rows, and what is computed beside for that.
    fn steps(&mut self, (position, flow): Link) -> Result<Vec<Step>, String> {
        self.placed += 1;
        let inputs = &self.fused.body[position].inputs;
        let change = self.change((position, flow))?;
        let mut steps = match change {
            Some(change) if change.reads_beside() => self.beside(inputs[1 - flow], inputs[flow])?,
            _ => Vec::new(),
        };
        steps.extend(change.map(|change| Step { change, beside: false }));
        Ok(steps)
    }

    /// The change of an op, whose second map is beside where it is computed here; none of one that renames the rows.
    fn change(&self, (position, flow): Link) -> Result<Option<Change>, String> {
        let node = &self.fused.body[position];
        let map = node.inputs[flow];
        Ok(Some(match &node.op {
            Op::Arithmetic(Arithmetic { function }) => {
                let other = node.inputs[1 - flow];
                let operand = if other < self.inputs {
                    let (input, extent) = self.operand(other, map)?;
                    Operand::Input(input, extent)
                } else {
                    Operand::Beside
                };
                Change::Arithmetic { function: *function, operand, flipped: flow == 1 }
            }
            Op::Relu(_) => Change::Relu,
            Op::Clamp(Clamp { min, max }) => Change::Clamp { min: *min, max: *max },
            Op::Prelu(_) => {
                let (slope, extent) = self.operand(node.inputs[1], map)?;
                Change::Prelu(slope, extent)
            }
            Op::Affine(affine) if affine.border.is_none() && node.inputs[1..].iter().all(|&i| i < self.inputs) => {
                Change::Affine { a: node.inputs[1], c: node.inputs[2], relu: false }
            }
            Op::Reshape(_) | Op::StopGradient(_)
                if self.shape(self.output(position)).channels() == self.shape(map).channels() =>
            {
                return Ok(None);
            }
            op => return Err(format!("{} on the way", op.name())),
        }))
    }

    /// The steps beside that yield a second map of the extents of the first.
    fn beside(&mut self, value: usize, map: usize) -> Result<Vec<Step>, String> {
        let (links, first) = self.links(value)?;
        if first >= self.inputs || !self.is_floats(first) || self.shape(first).elements() != self.shape(map).elements()
        {
            return Err(format!("a second map from {}", self.values[first].meta));
        }
        let mut changes = vec![Change::Load(first)];
        for link in links.into_iter().rev() {
            self.placed += 1;
            changes.extend(self.change(link)?);
        }
        if changes.iter().any(Change::reads_beside) {
            return Err("a third map".to_owned());
        }
        Ok(changes.into_iter().map(|change| Step { change, beside: true }).collect())
    }
}

impl Chain {
    /// One more op; a rectifier joins what stands right before it, unless the map is tapped between the two.
    fn push(&mut self, steps: Vec<Step>, tapped: bool) {
        let before = if tapped { &mut self.coding } else { &mut self.steps };
        if let [Step { change: Change::Relu, beside: false }] = steps[..] {
            match before.last_mut() {
                None if !tapped
                    && !matches!(self.source, Source::Floats { .. })
                    && !self.relu
                    && self.pool.is_none() =>
                {
                    self.relu = true;
                    return;
                }
                Some(Step { change: Change::Affine { relu, .. }, beside: false }) => {
                    *relu = true;
                    return;
                }
                Some(Step { change, beside: false }) => {
                    if let Change::Arithmetic { function: ArithmeticFunction::Add, operand, .. } = *change {
                        *change = Change::AddRelu(operand);
                        return;
                    }
                }
                _ => {}
            }
        }
        before.extend(steps);
    }
}
