//! Weights of one bit.

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_graph::{Meaning, Value};

use super::writer::Data;
use super::{Exported, Exporter, Form};
use crate::FormatError;
use crate::onnx::axes::permuted;
use crate::onnx::proto::{AttributeProto, DataType};

impl Exporter<'_> {
    /// The numbers of weight bits `[o, kh, kw, c]` as a float tensor `[o, c, kh, kw]`.
    ///
    /// Portable, they are int8 behind a `DequantizeLinear` of scale 1. Compact, eight of them are a uint8, the first the lowest bit; a runtime that folds
    /// constants unpacks them when it loads the model.
    pub fn weight_bits(&mut self, value: Value) -> Result<String, FormatError> {
        let Exported::Stored(constant) = self.values[value.index()] else {
            return Err(self.refuse("weight bits that are no constant"));
        };
        if let Some(known) = self.unpacked.get(&value) {
            return Ok(known.clone());
        }
        let (Meaning::Bit { codes, groups: 1 }, crate::model::Elements::Bits(words)) =
            (constant.meta.meaning, &constant.data)
        else {
            return Err(self.refuse("weights that are no bits"));
        };
        let &[o, kh, kw, c] = &constant.meta.shape[..] else {
            return Err(self.refuse("weight bits that are not of rank 4"));
        };
        let layout = BitLayout { rows: o * kh * kw, groups: 1, channels: c };
        if words.len() != layout.len() {
            return Err(self.refuse("weight bits that do not fill their shape"));
        }
        let bits: Vec<bool> =
            (0..layout.rows).flat_map(|row| layout.group(words, row, 0).iter().map(|bit| *bit)).collect();
        let bits = permuted(&bits, &[o, kh, kw, c], &[0, 3, 1, 2]);
        let path = constant.path.as_str();
        let name = match self.form {
            Form::Portable => self.dequantized(path, codes, &bits, &[o, c, kh, kw]),
            Form::Compact => self.unpack(path, codes, &bits, &[o, c, kh, kw]),
        };
        self.expect(&name, vec![o, c, kh, kw]);
        self.unpacked.insert(value, name.clone());
        Ok(name)
    }

    fn dequantized(&mut self, path: &str, codes: Codes, bits: &[bool], shape: &[usize]) -> String {
        let numbers: Vec<i8> = bits.iter().map(|&bit| codes.value(bit) as i8).collect();
        let stored = self.writer.initializer(path, shape, &Data::I8(&numbers));
        let scale = self.writer.number(1.0);
        self.writer.node("DequantizeLinear", path, &[&stored, &scale], Vec::new())
    }

    fn unpack(&mut self, path: &str, codes: Codes, bits: &[bool], shape: &[usize]) -> String {
        let byte = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << i);
        let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
        let writer = &mut self.writer;
        let stored = writer.initializer(path, &[bytes.len(), 1], &Data::U8(&bytes));
        let places = writer.shared("bits/places", &[8], &Data::U8(&[1, 2, 4, 8, 16, 32, 64, 128]));
        let places = writer.node("BitwiseAnd", path, &[&stored, &places], Vec::new());
        let places = writer.cast(path, &places, DataType::Bool);
        let (one, zero) = (writer.number(codes.value(true) as f32), writer.number(codes.value(false) as f32));
        let mut numbers = writer.node("Where", path, &[&places, &one, &zero], Vec::new());
        if !bits.len().is_multiple_of(8) {
            let flat = writer.integers(&[-1]);
            numbers = writer.node("Reshape", path, &[&numbers, &flat], Vec::new());
            let (start, end, axis) =
                (writer.integers(&[0]), writer.integers(&[bits.len() as i64]), writer.integers(&[0]));
            numbers = writer.node("Slice", path, &[&numbers, &start, &end, &axis], Vec::new());
        }
        let extents: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        let extents = writer.integers(&extents);
        writer.node("Reshape", path, &[&numbers, &extents], Vec::new())
    }

    /// Floats of rank 4 from channels-last codes: `−1` where x is below 0, else 1.
    pub fn sign(&mut self, x: &str) -> String {
        let (zero, one, minus) = (self.writer.number(0.0), self.writer.number(1.0), self.writer.number(-1.0));
        let below = self.writer.node("Less", self.path, &[x, &zero], Vec::new());
        self.writer.node("Where", self.path, &[&below, &minus, &one], Vec::new())
    }

    /// 1 where x is above 0, else 0.
    pub fn step(&mut self, x: &str) -> String {
        let zero = self.writer.number(0.0);
        let above = self.writer.node("Greater", self.path, &[x, &zero], Vec::new());
        self.writer.cast(self.path, &above, DataType::Float)
    }

    /// Codes with numbers outside the image, for a convolution that pads with nothing else; and the padding that is left to it.
    pub fn padded(&mut self, codes: String, padding: [usize; 2], value: u8) -> (String, [usize; 2]) {
        if value == 0 || padding == [0, 0] {
            return (codes, padding);
        }
        let [h, w] = padding.map(|pixels| pixels as i64);
        let pads = self.writer.integers(&[0, 0, h, w, 0, 0, h, w]);
        let outside = self.writer.number(value.into());
        let mode =
            AttributeProto { name: "mode".to_owned(), s: Some(b"constant".to_vec()), r#type: 3, ..Default::default() };
        (self.writer.node("Pad", self.path, &[&codes, &pads, &outside], vec![mode]), [0, 0])
    }
}
