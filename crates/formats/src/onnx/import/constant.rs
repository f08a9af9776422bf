//! Constants of a model.

use std::rc::Rc;

use super::node::{Result, listed, short};
use crate::budget::Budget;
use crate::dtype::Dtype;
use crate::onnx::proto::{DataType, TensorProto};

/// Elements; integers of 16 and 32 bits are widened, doubles and halves become f32, truth values 0 and 1.
#[derive(PartialEq, Debug)]
pub enum Numbers {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I8(Vec<i8>),
    U8(Vec<u8>),
}

/// A tensor that no input has a part in.
#[derive(Clone, PartialEq, Debug)]
pub struct Constant {
    /// The extents.
    pub shape: Vec<usize>,
    /// The elements, the last axis fastest.
    pub data: Rc<Numbers>,
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::I8(data) => data.len(),
            Self::U8(data) => data.len(),
        }
    }

    /// One of them. Beyond 2^53 integers lose digits.
    pub fn at(&self, index: usize) -> f64 {
        match self {
            Self::F32(data) => data[index].into(),
            Self::I64(data) => data[index] as f64,
            Self::I8(data) => data[index].into(),
            Self::U8(data) => data[index].into(),
        }
    }

    /// Bytes of an element.
    pub const fn element_size(&self) -> usize {
        match self {
            Self::F32(_) => 4,
            Self::I64(_) => 8,
            Self::I8(_) | Self::U8(_) => 1,
        }
    }

    /// Numbers of the same type.
    pub fn alike(&self, numbers: impl Iterator<Item = f64>) -> Self {
        match self {
            Self::F32(_) => Self::F32(numbers.map(|x| x as f32).collect()),
            Self::I64(_) => Self::I64(numbers.map(|x| x as i64).collect()),
            Self::I8(_) => Self::I8(numbers.map(|x| x as i64 as i8).collect()),
            Self::U8(_) => Self::U8(numbers.map(|x| x as i64 as u8).collect()),
        }
    }
}

/// The most axes that a value may have.
pub const MOST_AXES: usize = 16;

/// The number of elements of a shape that a file gives, if it can be one.
pub fn elements(shape: &[usize]) -> Option<usize> {
    if shape.len() > MOST_AXES {
        return None;
    }
    shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent)).filter(|&n| n < 1 << 31)
}

impl Constant {
    /// A tensor of these numbers.
    pub fn new(shape: Vec<usize>, data: Numbers) -> Self {
        Self { shape, data: Rc::new(data) }
    }

    /// Reads a tensor.
    pub fn decode(tensor: &TensorProto, budget: &mut Budget) -> Result<Self> {
        if tensor.data_location != 0 {
            return Err("its elements are in another file: save the model with all its data inside".into());
        }
        let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let Some((shape, n)) = shape.and_then(|shape| elements(&shape).map(|n| (shape, n))) else {
            return Err(format!("a tensor cannot have the extents {}", listed(&tensor.dims)).into());
        };
        let Some(data_type) = DataType::from_number(tensor.data_type) else {
            return Err(format!("its elements are of type {}, which is not read", tensor.data_type).into());
        };
        let (size, widened) = match data_type {
            DataType::Float => (4, 4),
            DataType::Float16 => (2, 4),
            DataType::Double => (8, 4),
            DataType::Uint8 | DataType::Int8 | DataType::Bool => (1, 1),
            DataType::Uint16 | DataType::Int16 => (2, 8),
            DataType::Int32 => (4, 8),
            DataType::Int64 => (8, 8),
        };
        let given = match data_type {
            _ if !tensor.raw_data.is_empty() => tensor.raw_data.len() / size,
            DataType::Float => tensor.float_data.len(),
            DataType::Double => tensor.double_data.len(),
            DataType::Int64 => tensor.int64_data.len(),
            _ => tensor.int32_data.len(),
        };
        if given != n || !tensor.raw_data.len().is_multiple_of(size) {
            return Err(format!("a tensor of extents {} cannot have {given} elements", listed(&tensor.dims)).into());
        }
        budget.spend(&short(&tensor.name), n.saturating_mul(widened))?;
        Ok(Self::new(shape, numbers(tensor, data_type, n)))
    }

    /// Integers, if they are some.
    pub fn integers(&self) -> Result<Vec<i64>> {
        match &*self.data {
            Numbers::F32(_) => Err("floats stand where integers should".into()),
            data => Ok((0..data.len()).map(|i| data.at(i) as i64).collect()),
        }
    }

    /// Its floats, or its integers as floats.
    pub fn floats(&self) -> Vec<f32> {
        match &*self.data {
            Numbers::F32(data) => data.clone(),
            data => (0..data.len()).map(|i| data.at(i) as f32).collect(),
        }
    }

    /// The number that it is, if it is one alone.
    pub fn scalar(&self) -> Option<f32> {
        (self.data.len() == 1).then(|| self.data.at(0) as f32)
    }

    /// The number that it is everywhere.
    pub fn number(&self) -> Option<f32> {
        let first = (self.data.len() > 0).then(|| self.data.at(0))?;
        (1..self.data.len()).all(|i| self.data.at(i) == first).then_some(first as f32)
    }
}

fn numbers(tensor: &TensorProto, data_type: DataType, n: usize) -> Numbers {
    let raw = &tensor.raw_data[..];
    let is_raw = !raw.is_empty();
    let float = |dtype: Dtype| Numbers::F32((0..n).map(|i| dtype.element(raw, i)).collect());
    let wide = |dtype: Dtype| Numbers::I64((0..n).map(|i| dtype.element(raw, i) as i64).collect());
    match data_type {
        DataType::Float if is_raw => float(Dtype::F32),
        DataType::Float => Numbers::F32(tensor.float_data.clone()),
        DataType::Double if is_raw => float(Dtype::F64),
        DataType::Double => Numbers::F32(tensor.double_data.iter().map(|&x| x as f32).collect()),
        DataType::Float16 if is_raw => float(Dtype::F16),
        DataType::Float16 => {
            let bytes: Vec<u8> = tensor.int32_data.iter().flat_map(|&bits| (bits as u16).to_le_bytes()).collect();
            Numbers::F32((0..n).map(|i| Dtype::F16.element(&bytes, i)).collect())
        }
        DataType::Int64 if is_raw => {
            Numbers::I64(raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect())
        }
        DataType::Int64 => Numbers::I64(tensor.int64_data.clone()),
        DataType::Int32 if is_raw => {
            Numbers::I64(raw.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes).into()).collect())
        }
        DataType::Int16 if is_raw => wide(Dtype::I16),
        DataType::Uint16 if is_raw => wide(Dtype::U16),
        DataType::Int32 | DataType::Int16 | DataType::Uint16 => {
            Numbers::I64(tensor.int32_data.iter().map(|&x| x.into()).collect())
        }
        DataType::Int8 if is_raw => Numbers::I8(raw.iter().map(|&x| x as i8).collect()),
        DataType::Int8 => Numbers::I8(tensor.int32_data.iter().map(|&x| x as i8).collect()),
        DataType::Uint8 if is_raw => Numbers::U8(raw.to_vec()),
        DataType::Uint8 => Numbers::U8(tensor.int32_data.iter().map(|&x| x as u8).collect()),
        DataType::Bool if is_raw => Numbers::U8(raw.iter().map(|&x| u8::from(x != 0)).collect()),
        DataType::Bool => Numbers::U8(tensor.int32_data.iter().map(|&x| u8::from(x != 0)).collect()),
    }
}
