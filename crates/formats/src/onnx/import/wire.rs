//! What decoding a file will take in memory, before it is decoded: a message of two bytes becomes a struct of hundreds.

use std::mem::size_of;

use crate::FormatError;
use crate::budget::Budget;
use crate::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A message of the file, so far as its parts are decoded.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// A message without messages inside.
    Leaf(usize),
    /// Bytes, or a string.
    Bytes,
    /// Numbers of so many bytes each, of which every byte may be one.
    Numbers(usize),
}

impl Kind {
    /// What a field holds; None where it is skipped.
    const fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8) => Self::Leaf(size_of::<OperatorSetIdProto>()),
            (Self::Model, 14) => Self::Leaf(size_of::<StringStringEntryProto>()),
            (Self::Graph, 1) => Self::Node,
            (Self::Graph | Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Leaf(size_of::<DimensionProto>()),
            (Self::Tensor, 4 | 5) | (Self::Attribute, 7) => Self::Numbers(4),
            (Self::Tensor, 1 | 7 | 10) | (Self::Attribute, 8) => Self::Numbers(8),
            (Self::Model, 2 | 3)
            | (Self::Graph, 2)
            | (Self::Node, 1..=4 | 7)
            | (Self::Attribute, 1 | 4)
            | (Self::Tensor, 8 | 9)
            | (Self::ValueInfo, 1)
            | (Self::Leaf(_), 1 | 2) => Self::Bytes,
            _ => return None,
        })
    }

    /// The memory of a message of so many bytes, but for what stands inside of it.
    fn size(self, bytes: usize) -> usize {
        match self {
            Self::Model => 0,
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::ValueInfo => size_of::<ValueInfoProto>(),
            Self::Type => size_of::<TypeProto>(),
            Self::TensorType => size_of::<TensorTypeProto>(),
            Self::Shape => size_of::<TensorShapeProto>(),
            Self::Leaf(size) => size,
            Self::Bytes => size_of::<String>() + bytes,
            Self::Numbers(size) => size.saturating_mul(bytes),
        }
    }
}

/// Takes from the budget what the messages of a file will take. What is broken is left to the decoder.
pub fn spend(file: &[u8], budget: &mut Budget) -> Result<(), FormatError> {
    inside(file, Kind::Model, budget)
}

fn inside(mut bytes: &[u8], kind: Kind, budget: &mut Budget) -> Result<(), FormatError> {
    while let Some(key) = varint(&mut bytes) {
        let field = kind.field(key >> 3);
        match key & 7 {
            0 => {
                varint(&mut bytes);
                if let Some(Kind::Numbers(size)) = field {
                    budget.spend("the ONNX model", 2 * size)?;
                }
            }
            1 => bytes = bytes.get(8..).unwrap_or_default(),
            5 => {
                bytes = bytes.get(4..).unwrap_or_default();
                if let Some(Kind::Numbers(size)) = field {
                    budget.spend("the ONNX model", 2 * size)?;
                }
            }
            2 => {
                let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok());
                let Some((message, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else { break };
                bytes = rest;
                if let Some(field) = field {
                    // A list that grows may have room for as many again.
                    let twice = if message.len() > 64 { 1 } else { 2 };
                    budget.spend("the ONNX model", twice * field.size(message.len()))?;
                    if !matches!(field, Kind::Bytes | Kind::Numbers(_)) {
                        inside(message, field, budget)?;
                    }
                }
            }
            _ => break,
        }
    }
    Ok(())
}

/// A number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
