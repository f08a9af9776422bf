//! Several ops in one: what fusion makes of an epilogue.

use serde::{Deserialize, Serialize};

use crate::op::Operator;
use crate::summary::Macs;
use crate::{Mismatch, Op, Shape, ValueMeta};

use super::ArithmeticFunction;

/// A few ops that are computed together, so that what passes between them need not be written; its meaning is theirs, op by op, bit for bit.
///
/// Values are numbered: first the inputs, any at all, then what the nodes of the body yield, in order. Outputs: those that the attribute lists.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fused {
    /// The ops, each behind those that it reads.
    pub body: Vec<FusedNode>,
    /// The numbers of the values that leave.
    pub outputs: Vec<usize>,
}

/// One op of a [`Fused`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedNode {
    /// The op: neither a leaf, nor one that writes state, nor fused itself.
    pub op: Op,
    /// The numbers of the values that it reads.
    pub inputs: Vec<usize>,
}

/// What an element-wise op takes besides the map that it changes, as seen from that map `[…, c]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// One number for all.
    Number,
    /// One for each channel.
    Row,
    /// One for each element.
    Map,
}

impl Extent {
    /// How far an operand that stretches to the map reaches; `None` for anything in between.
    pub fn of(operand: &Shape, map: &Shape) -> Option<Self> {
        let (elements, c) = (operand.elements(), map.channels());
        match elements {
            1 => Some(Self::Number),
            _ if operand.channels() != c => None,
            _ if elements == c => Some(Self::Row),
            _ if elements == map.elements() => Some(Self::Map),
            _ => None,
        }
    }
}

/// One value of a [`Fused`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FusedValue {
    /// Meaning and shape.
    pub meta: ValueMeta,
    /// The position in the body of the node that yields it; none for an input.
    pub node: Option<usize>,
}

impl Fused {
    /// All values in the order of their numbers.
    pub fn values(&self, inputs: &[&ValueMeta]) -> Result<Vec<FusedValue>, Mismatch> {
        let mut values: Vec<FusedValue> =
            inputs.iter().map(|&meta| FusedValue { meta: meta.clone(), node: None }).collect();
        for (node, FusedNode { op, inputs }) in self.body.iter().enumerate() {
            if op.is_leaf() || !op.writes().is_empty() || matches!(op, Op::Fused(_)) {
                return Err(Mismatch::new("a body of ops that only compute", op.name()));
            }
            let known = inputs.iter().map(|&i| values.get(i).map(|value| &value.meta)).collect::<Option<Vec<_>>>();
            let known = known.ok_or_else(|| {
                let expected = format!("{} in the body to read values below {}", op.name(), values.len());
                Mismatch::new(expected, format!("{inputs:?}"))
            })?;
            // Leaves alone ask for the batch.
            let outputs = op.infer(&known, 1)?;
            if let Some(meta) = outputs.iter().find(|meta| !meta.shape.is_possible()) {
                return Err(Mismatch::new("fewer than 2^31 elements", meta.to_string()));
            }
            values.extend(outputs.into_iter().map(|meta| FusedValue { meta, node: Some(node) }));
        }
        Ok(values)
    }

    /// Whether all it does is to compare the integers of a binary convolution with constants: it is a run from the convolution to codes, which alone leave, every
    /// op of it grows or falls all along, and reads nothing else but constants that are the same for all pixels. `constant` says which inputs are constants.
    ///
    /// The rectifier with a learned slope turns where the slope is negative, but is never negative itself then: it may stand right before a sign.
    pub fn is_threshold(&self, inputs: &[&ValueMeta], constant: &[bool]) -> bool {
        let Some((conv, rest)) = self.body.split_first() else { return false };
        let Some((codes, steps)) = rest.split_last() else { return false };
        let Ok(values) = self.values(inputs) else { return false };
        let is_constant = |i: usize| constant.get(i).is_some_and(|&constant| constant);
        if !matches!(conv.op, Op::BinaryConv2d(_)) || !conv.inputs[1..].iter().all(|&i| is_constant(i)) {
            return false;
        }
        let last = inputs.len() + self.body.len() - 1;
        let follows = |position: usize, node: &FusedNode| {
            let flow = inputs.len() + position;
            let shape = |i: usize| &values[i].meta.shape;
            let for_all_pixels =
                |i: usize| matches!(Extent::of(shape(i), shape(flow)), Some(Extent::Number | Extent::Row));
            node.inputs.iter().filter(|&&i| i == flow).count() == 1
                && node.inputs.iter().all(|&i| i == flow || is_constant(i) && for_all_pixels(i))
        };
        let monotone = |position: usize, node: &FusedNode| match &node.op {
            Op::Affine(_) | Op::Relu(_) | Op::Clamp(_) | Op::Reshape(_) | Op::StopGradient(_) => true,
            Op::Prelu(_) => position + 1 == steps.len() && matches!(codes.op, Op::Sign(_)),
            Op::Arithmetic(op) => op.function != ArithmeticFunction::Div,
            _ => false,
        };
        matches!(codes.op, Op::Sign(_) | Op::Step(_))
            && self.outputs[..] == [last]
            && steps.iter().enumerate().all(|(i, node)| monotone(i, node))
            && rest.iter().enumerate().all(|(i, node)| follows(i, node))
    }
}

impl Operator for Fused {
    fn infer(&self, inputs: &[&ValueMeta], _: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        let values = self.values(inputs)?;
        let output = |(i, number): (usize, &usize)| {
            let value = values.get(*number).filter(|value| value.node.is_some() && !self.outputs[..i].contains(number));
            value.map(|value| value.meta.clone())
        };
        if self.body.is_empty() {
            return Err(Mismatch::new("a body", "none"));
        }
        let outputs = self.outputs.iter().enumerate().map(output).collect::<Option<Vec<_>>>();
        outputs.filter(|outputs| !outputs.is_empty()).ok_or_else(|| {
            let expected =
                format!("outputs of the body, each once and numbered {} to {}", inputs.len(), values.len() - 1);
            Mismatch::new(expected, format!("{:?}", self.outputs))
        })
    }

    fn macs(&self, inputs: &[&ValueMeta], _: &[&ValueMeta]) -> Macs {
        let mut sum = Macs::default();
        // A graph that has the op has inferred these values.
        let Ok(values) = self.values(inputs) else { return sum };
        for (position, node) in self.body.iter().enumerate() {
            let inputs: Vec<&ValueMeta> = node.inputs.iter().map(|&i| &values[i].meta).collect();
            let outputs: Vec<&ValueMeta> =
                values.iter().filter(|value| value.node == Some(position)).map(|value| &value.meta).collect();
            let macs = node.op.macs(&inputs, &outputs);
            sum = Macs { binary: sum.binary + macs.binary, float: sum.float + macs.float };
        }
        sum
    }
}
