//! Convolutions, pools and matrix products.

use binary_nets_graph::ops::{AvgPool2d, BinaryConv2d, Border, Conv2d, Matmul, MaxPool2d, TernaryConv2d};
use binary_nets_graph::{Meaning, Value, Window};

use super::{Exported, Exporter};
use crate::FormatError;
use crate::onnx::proto::AttributeProto;

/// Where taps lie. ONNX pads before and after each axis.
pub fn window_attributes(window: &Window, padding: [usize; 2]) -> Vec<AttributeProto> {
    vec![
        AttributeProto::ints("kernel_shape", window.kernel),
        AttributeProto::ints("strides", window.stride),
        AttributeProto::ints("pads", [padding, padding].concat()),
        AttributeProto::ints("dilations", window.dilation),
    ]
}

impl Exporter<'_> {
    /// A `Conv` of a map and weights `[o, c/groups, kh, kw]`, and perhaps a bias.
    pub fn conv(&mut self, inputs: &[&str], window: &Window, padding: [usize; 2], groups: usize) -> String {
        let mut attributes = window_attributes(window, padding);
        attributes.push(AttributeProto::int("group", groups as i64));
        self.writer.node("Conv", self.path, inputs, attributes)
    }

    /// A float convolution.
    pub fn conv2d(&mut self, conv: &Conv2d, inputs: &[Value]) -> Result<String, FormatError> {
        let (x, w) = (self.map(inputs[0])?, self.weight(inputs[1])?);
        Ok(self.conv(&[&x, &w], &conv.window, conv.window.padding, conv.groups))
    }

    /// The codes that a convolution reads and the groups that they are packed in.
    fn codes(&mut self, value: Value) -> Result<(String, usize), FormatError> {
        match self.graph.meta(value).meaning {
            Meaning::Bit { groups, .. } => Ok((self.map(value)?, groups)),
            _ => Err(self.refuse("a convolution of no codes")),
        }
    }

    /// A binary convolution: its integers, or with α their products.
    pub fn binary_conv2d(&mut self, conv: &BinaryConv2d, inputs: &[Value]) -> Result<String, FormatError> {
        let (codes, groups) = self.codes(inputs[0])?;
        let weights = self.weight_bits(inputs[1])?;
        let (codes, padding) = self.padded(codes, conv.window.padding, conv.pad_value);
        let d = self.conv(&[&codes, &weights], &conv.window, padding, groups);
        let Some(&alpha) = inputs.get(2) else { return Ok(d) };
        let o = self.shape(inputs[1])[0];
        let alpha = self.vector(alpha)?.to_vec();
        // One α for each group of output channels, or for all.
        let alpha: Vec<f32> = (0..o).map(|channel| alpha[channel * alpha.len() / o]).collect();
        let alpha = self.channels("alpha", &alpha);
        Ok(self.writer.node("Mul", self.path, &[&d, &alpha], Vec::new()))
    }

    /// A ternary convolution: the integers of both its planes, or the difference of their products.
    pub fn ternary_conv2d(&mut self, conv: &TernaryConv2d, inputs: &[Value]) -> Result<Vec<String>, FormatError> {
        let (codes, groups) = self.codes(inputs[0])?;
        let planes = [self.weight_bits(inputs[1])?, self.weight_bits(inputs[2])?];
        let (codes, padding) = self.padded(codes, conv.window.padding, conv.pad_value);
        let sums = planes.map(|plane| self.conv(&[&codes, &plane], &conv.window, padding, groups));
        let &[w_p, w_n] = &inputs[3..] else { return Ok(sums.to_vec()) };
        let products = [(&sums[0], w_p), (&sums[1], w_n)]
            .into_iter()
            .map(|(d, w)| {
                let w = self.map(w)?;
                Ok(self.writer.node("Mul", self.path, &[d, &w], Vec::new()))
            })
            .collect::<Result<Vec<_>, FormatError>>()?;
        Ok(vec![self.writer.node("Sub", self.path, &[&products[0], &products[1]], Vec::new())])
    }

    /// `a·x + c`, one a and one c for each channel, as two nodes that round as the op does.
    pub fn affine(&mut self, border: Option<Border>, inputs: &[Value]) -> Result<String, FormatError> {
        if let Exported::Integers { bytes, border: own, .. } = self.values[inputs[0].index()] {
            if border != Some(own) {
                return Err(self.refuse("its constants are not those of the borders of the convolution before it"));
            }
            return match &self.values[bytes.index()] {
                Exported::Bytes { name, zero } => self.of_bytes(&name.clone(), *zero, inputs),
                _ => self.stem(inputs),
            };
        }
        if border.is_some() {
            return Err(self.refuse("its constant depends on the border, and no convolution of bytes stands before it"));
        }
        let rank = self.shape(inputs[0]).len();
        let x = self.map(inputs[0])?;
        let (a, c) = (self.operand(inputs[1], rank)?, self.operand(inputs[2], rank)?);
        let product = self.writer.node("Mul", self.path, &[&x, &a], Vec::new());
        Ok(self.writer.node("Add", self.path, &[&product, &c], Vec::new()))
    }

    /// `a_p·d_p − a_n·d_n + c`
    pub fn ternary_affine(&mut self, inputs: &[Value]) -> Result<String, FormatError> {
        let rank = self.shape(inputs[0]).len();
        let (positive, negative) = (self.map(inputs[0])?, self.map(inputs[1])?);
        let (a_p, a_n) = (self.operand(inputs[2], rank)?, self.operand(inputs[3], rank)?);
        let c = self.operand(inputs[4], rank)?;
        let positive = self.writer.node("Mul", self.path, &[&positive, &a_p], Vec::new());
        let negative = self.writer.node("Mul", self.path, &[&negative, &a_n], Vec::new());
        let difference = self.writer.node("Sub", self.path, &[&positive, &negative], Vec::new());
        Ok(self.writer.node("Add", self.path, &[&difference, &c], Vec::new()))
    }

    /// A product of two matrices.
    pub fn matmul(&mut self, matmul: &Matmul, inputs: &[Value]) -> Result<String, FormatError> {
        let (a, b) = (self.weight(inputs[0])?, self.weight(inputs[1])?);
        let attributes = vec![
            AttributeProto::int("transA", i64::from(matmul.transpose_a)),
            AttributeProto::int("transB", i64::from(matmul.transpose_b)),
        ];
        Ok(self.writer.node("Gemm", self.path, &[&a, &b], attributes))
    }

    /// The largest under a window.
    pub fn max_pool2d(&mut self, pool: &MaxPool2d, x: Value) -> Result<String, FormatError> {
        let x = self.map(x)?;
        let attributes = window_attributes(&pool.window, pool.window.padding);
        Ok(self.writer.node("MaxPool", self.path, &[&x], attributes))
    }

    /// The mean under a window. A last window that reaches over the end takes the mean of what it has; padding counts as zeroes, and where both happen it is
    /// put there before, for ONNX counts either all that is outside or nothing of it.
    pub fn avg_pool2d(&mut self, pool: &AvgPool2d, x: Value, y: &[usize]) -> Result<String, FormatError> {
        if pool.window.dilation != [1, 1] {
            return Err(self.refuse("opset 18 has no average pool with dilation"));
        }
        let input = [self.shape(x)[1], self.shape(x)[2]];
        let reaches_over = pool.ceil && pool.window.output(input).is_ok_and(|output| output != y[1..3]);
        let name = self.map(x)?;
        let padding = pool.window.padding;
        let (name, padding) = if reaches_over && padding != [0, 0] {
            let [h, w] = padding.map(|pixels| pixels as i64);
            let pads = self.writer.integers(&[0, 0, h, w, 0, 0, h, w]);
            (self.writer.node("Pad", self.path, &[&name, &pads], Vec::new()), [0, 0])
        } else {
            (name, padding)
        };
        let mut attributes = window_attributes(&pool.window, padding);
        attributes.pop();
        attributes.push(AttributeProto::int("ceil_mode", i64::from(reaches_over)));
        attributes.push(AttributeProto::int("count_include_pad", i64::from(!reaches_over)));
        Ok(self.writer.node("AveragePool", self.path, &[&name], attributes))
    }
}
