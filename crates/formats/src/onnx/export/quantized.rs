//! Maps of bytes and their convolutions, as floats that are integers.

use binary_nets_graph::ops::Quantize;
use binary_nets_graph::{Value, Window};

use super::products::window_attributes;
use super::writer::Data;
use super::{Exported, Exporter};
use crate::FormatError;
use crate::onnx::axes::{permuted, permuted_shape};

impl Exporter<'_> {
    /// `clip(round(factor·x), −zero, 255 − zero)`, the bytes less the one that stands for 0.
    pub fn quantize(&mut self, op: &Quantize, x: Value) -> Result<String, FormatError> {
        let mut x = self.map(x)?;
        if op.stride != [1, 1] {
            let window = Window { stride: op.stride, ..Window::square(1, 1, 0) };
            x = self.writer.node("MaxPool", self.path, &[&x], window_attributes(&window, [0, 0]));
        }
        let factor = self.writer.number(op.factor);
        let steps = self.writer.node("Mul", self.path, &[&x, &factor], Vec::new());
        let steps = self.writer.node("Round", self.path, &[&steps], Vec::new());
        let [low, high] = [-f32::from(op.zero), f32::from(u8::MAX - op.zero)].map(|bound| self.writer.number(bound));
        Ok(self.writer.node("Clip", self.path, &[&steps, &low, &high], Vec::new()))
    }

    /// The convolution of such a map and the affine behind it. Outside stands what stands for 0, so the constant is the same in every border case. Its inputs are the integers, a
    /// and c.
    pub fn of_bytes(&mut self, bytes: &str, zero: u8, inputs: &[Value]) -> Result<String, FormatError> {
        let Exported::Integers { weights, border, .. } = self.values[inputs[0].index()] else {
            return Err(self.refuse("no convolution of bytes stands before it"));
        };
        let Exported::Stored(constant) = self.values[weights.index()] else {
            return Err(self.refuse("weights that are no constant"));
        };
        let (a, q) = (self.vector(inputs[1])?.to_vec(), self.bytes_of(constant)?);
        let &[_, kh, kw, channels] = self.shape(weights) else { return Err(self.refuse("weights of another rank")) };
        let bias = self.bias(border, &a, self.vector(inputs[2])?, |out, row, column| {
            let of_tap = &q[((out * kh + row) * kw + column) * channels..][..channels];
            of_tap.iter().map(|&q| f64::from(q)).sum::<f64>() * f64::from(zero)
        })?;
        let (a, bias) = (self.channels("a", &a), self.channels("c", &bias));

        // One number stands for each of 8 bits as it is.
        let order = [0, 3, 1, 2];
        let (q, shape) = (permuted(&q, self.shape(weights), &order), permuted_shape(self.shape(weights), &order));
        let q = self.writer.initializer(&constant.path, &shape, &Data::I8(&q));
        let one = self.writer.number(1.0);
        let q = self.writer.node("DequantizeLinear", &constant.path, &[&q, &one], Vec::new());
        let sums = self.conv(&[bytes, &q], &border.window, border.window.padding, 1);
        let product = self.writer.node("Mul", self.path, &[&sums, &a], Vec::new());
        Ok(self.writer.node("Add", self.path, &[&product, &bias], Vec::new()))
    }
}
