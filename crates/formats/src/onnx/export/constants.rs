//! Constants, in the extents that their readers need.

use binary_nets_graph::Value;
use half::f16;

use super::writer::Data;
use super::{Exported, Exporter};
use crate::FormatError;
use crate::model::{Constant, Elements};
use crate::onnx::axes::{channels_first, permuted, permuted_shape};
use crate::onnx::proto::{AttributeProto, DataType};

impl Exporter<'_> {
    /// The floats of a constant; None for a value that is none.
    pub fn numbers(&self, value: Value) -> Result<Option<&[f32]>, FormatError> {
        match &self.values[value.index()] {
            Exported::Literal(values) => Ok(Some(values)),
            Exported::Stored(constant) => match &constant.data {
                Elements::F32(data) | Elements::F16(data) if data.len() == constant.meta.shape.elements() => {
                    Ok(Some(data))
                }
                _ => Err(self.refuse(format!("'{}' should be floats that fill {}", constant.path, constant.meta))),
            },
            Exported::Quantized { .. }
            | Exported::Pixels(_)
            | Exported::Bytes { .. }
            | Exported::Integers { .. }
            | Exported::Map(_)
            | Exported::Mask(_) => Ok(None),
        }
    }

    /// A constant of those extents, its axis `i` the axis `order[i]` of what it is stretched to by axes of extent 1 in front; None for a value that is no
    /// constant.
    fn placed(&mut self, value: Value, order: &[usize]) -> Result<Option<String>, FormatError> {
        let Some(data) = self.numbers(value)? else { return Ok(None) };
        let own = self.shape(value);
        let shape = [&vec![1; order.len() - own.len()][..], own].concat();
        let (data, shape) = (permuted(data, &shape, order), permuted_shape(&shape, order));
        let key = (value, shape);
        if let Some(known) = self.placed.get(&key) {
            return Ok(Some(known.clone()));
        }
        let (path, is_half) = match &self.values[value.index()] {
            Exported::Stored(constant) => (constant.path.as_str(), matches!(constant.data, Elements::F16(_))),
            _ => (self.path, false),
        };
        let path = if path.is_empty() { "constant" } else { path };
        let name = if is_half {
            let halves: Vec<u16> = data.iter().map(|&x| f16::from_f32(x).to_bits()).collect();
            let stored = self.writer.initializer(path, &key.1, &Data::F16(&halves));
            self.writer.cast(path, &stored, DataType::Float)
        } else {
            self.writer.initializer(path, &key.1, &Data::F32(&data))
        };
        self.placed.insert(key, name.clone());
        Ok(Some(name))
    }

    /// Weights as the graph has them, or a matrix that is computed.
    pub fn weight(&mut self, value: Value) -> Result<String, FormatError> {
        if let Exported::Quantized { q, scales, axis } = self.values[value.index()] {
            return self.dequantize(q, scales, axis);
        }
        let as_it_is: Vec<usize> = (0..self.shape(value).len()).collect();
        match self.placed(value, &as_it_is)? {
            Some(name) => Ok(name),
            None if as_it_is.len() < 4 => self.map(value),
            None => Err(self.refuse("weights that are no constant")),
        }
    }

    /// Weights of 8 bits, with a scale for each index of an axis.
    fn dequantize(&mut self, q: Value, scales: Value, axis: usize) -> Result<String, FormatError> {
        let Exported::Stored(constant) = self.values[q.index()] else {
            return Err(self.refuse("weights that are no constant"));
        };
        let bytes = self.bytes_of(constant)?;
        let scales = self.weight(scales)?;
        let q = self.writer.initializer(&constant.path, &constant.meta.shape, &Data::I8(&bytes));
        let axis = AttributeProto::int("axis", axis as i64);
        Ok(self.writer.node("DequantizeLinear", &constant.path, &[&q, &scales], vec![axis]))
    }

    /// Integers of 8 bits.
    pub fn bytes_of(&self, constant: &Constant) -> Result<Vec<i8>, FormatError> {
        let bytes: Option<Vec<i8>> = match &constant.data {
            Elements::I16(data) => data.iter().map(|&q| i8::try_from(q).ok()).collect(),
            _ => None,
        };
        bytes
            .filter(|bytes| bytes.len() == constant.meta.shape.elements())
            .ok_or_else(|| self.refuse(format!("'{}' should be bytes that fill {}", constant.path, constant.meta)))
    }

    /// A value as channels-first floats.
    pub fn map(&mut self, value: Value) -> Result<String, FormatError> {
        match &self.values[value.index()] {
            Exported::Map(name) => Ok(name.clone()),
            Exported::Mask(name) => {
                let name = name.clone();
                Ok(self.writer.cast(self.path, &name, DataType::Float))
            }
            Exported::Quantized { .. } => Err(self.refuse("weights of 8 bits have a place in products alone")),
            Exported::Bytes { .. } | Exported::Integers { .. } => {
                Err(self.refuse("the integers of a convolution of bytes have no value of their own"))
            }
            Exported::Pixels(_) => Err(self.refuse("pixels that are not normalised")),
            Exported::Stored(_) | Exported::Literal(_) => {
                let order = channels_first(self.shape(value).len());
                self.placed(value, &order)?.ok_or_else(|| self.refuse("a constant without numbers"))
            }
        }
    }

    /// A value that stretches to one of this rank.
    pub fn operand(&mut self, value: Value, rank: usize) -> Result<String, FormatError> {
        let own = self.shape(value);
        if own.len() == rank || own.is_empty() || rank < 4 {
            return self.map(value);
        }
        match self.placed(value, &channels_first(rank))? {
            Some(name) => Ok(name),
            None => Err(self.refuse(format!("a computed value of shape {own:?} stretches over a map"))),
        }
    }

    /// One float for each channel.
    pub fn vector(&self, value: Value) -> Result<&[f32], FormatError> {
        self.numbers(value)?.ok_or_else(|| self.refuse("a vector that is no constant"))
    }
}
