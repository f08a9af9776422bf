//! Tensors on their way between host and network.

use binary_nets_exec::{Binding, Layout, Storage};
use binary_nets_graph::Meaning;

use crate::NetworkError;

/// A tensor of the host.
#[derive(Clone, Copy, Debug)]
pub enum TensorView<'a> {
    /// Pixels.
    U8(&'a [u8]),
    /// Indices.
    U32(&'a [u32]),
    /// Floats.
    F32(&'a [f32]),
}

/// The tensors of a batch, by name.
pub type NamedTensors<'a> = [(&'a str, TensorView<'a>)];

/// A named output for some samples.
#[derive(Clone, PartialEq, Debug)]
pub struct Prediction {
    /// The output's name.
    pub name: String,
    /// `[samples, …]`.
    pub shape: Vec<usize>,
    /// The elements; codes of bits as their numbers.
    pub data: Vec<f32>,
}

impl<'a> TensorView<'a> {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::U8(x) => x.len(),
            Self::U32(x) => x.len(),
            Self::F32(x) => x.len(),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::U32(_) => "u32",
            Self::F32(_) => "f32",
        }
    }

    /// The elements `range` of the tensor.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> TensorView<'a> {
        match self {
            Self::U8(x) => Self::U8(&x[range]),
            Self::U32(x) => Self::U32(&x[range]),
            Self::F32(x) => Self::F32(&x[range]),
        }
    }

    /// The bytes, once type, number and range have been checked against what a program takes.
    pub(crate) fn bytes_for(&self, binding: &Binding) -> Result<&'a [u8], NetworkError> {
        let layout = Layout::interchange(&binding.meta);
        let fail =
            |got: String| NetworkError::Batch { name: binding.name.clone(), expected: binding.meta.to_string(), got };
        if self.len() != layout.elements {
            let (name, expected) = (binding.name.clone(), binding.meta.to_string());
            return Err(NetworkError::Elements { name, expected, got: self.len() });
        }
        match (*self, layout.storage) {
            (Self::U8(x), Storage::U8) => Ok(x),
            (Self::U32(x), Storage::U32) => match binding.meta.meaning {
                Meaning::Index { classes } if x.iter().any(|&i| i >= classes) => {
                    Err(fail(format!("{}", x.iter().find(|&&i| i >= classes).copied().unwrap_or_default())))
                }
                _ => Ok(bytemuck::cast_slice(x)),
            },
            (Self::F32(x), Storage::F32) => Ok(bytemuck::cast_slice(x)),
            _ => Err(fail(format!("elements of {}", self.kind()))),
        }
    }
}

/// What a slot holds, as numbers.
pub(crate) fn to_numbers(binding: &Binding, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&chunk| number(chunk)).collect()
    }
    match Layout::interchange(&binding.meta).storage {
        Storage::F32 => each(bytes, f32::from_le_bytes),
        Storage::U8 => each(bytes, |b: [u8; 1]| f32::from(b[0])),
        Storage::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Storage::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Storage::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Storage::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        Storage::U64 => {
            let words: Vec<u64> = bytes.as_chunks().0.iter().map(|&chunk| u64::from_le_bytes(chunk)).collect();
            let Meaning::Bit { codes, groups } = binding.meta.meaning else { return Vec::new() };
            let layout = Layout::bits(&binding.meta, groups);
            (0..layout.rows)
                .flat_map(|row| (0..groups).map(move |group| (row, group)))
                .flat_map(|(row, group)| {
                    layout.group(&words, row, group).iter().map(|bit| codes.value(*bit) as f32).collect::<Vec<_>>()
                })
                .collect()
        }
    }
}
