//! The convolution of the image, taken apart again into a normalisation and float weights.

use binary_nets_graph::Value;
use binary_nets_graph::ops::Border;

use super::writer::Data;
use super::{Exported, Exporter};
use crate::FormatError;
use crate::model::Elements;
use crate::onnx::proto::DataType;

impl Exporter<'_> {
    /// One number for each channel of a map, `[1, c, 1, 1]`.
    pub fn channels(&mut self, what: &str, numbers: &[f32]) -> String {
        let name = format!("{}.{what}", self.path);
        self.writer.initializer(&name, &[1, numbers.len(), 1, 1], &Data::F32(numbers))
    }

    /// Normalised floats, channels-first: `(x − 255·mean)·1/(255·std)`.
    pub fn normalize_image(&mut self, pixels: Value, mean: &[f64], std: &[f64]) -> Result<String, FormatError> {
        let Exported::Pixels(pixels) = &self.values[pixels.index()] else {
            return Err(self.refuse("an image that is no input"));
        };
        let pixels = pixels.clone();
        let key = format!("{pixels} {mean:?} {std:?}");
        if let Some(known) = self.normalized.get(&key) {
            return Ok(known.clone());
        }
        let offset: Vec<f32> = mean.iter().map(|&mean| (255.0 * mean) as f32).collect();
        let factor: Vec<f32> = std.iter().map(|&std| (1.0 / (255.0 * std)) as f32).collect();
        let writer = &mut self.writer;
        let x = writer.cast(&pixels, &pixels, DataType::Float);
        let x = writer.transpose(&pixels, &x, &[0, 3, 1, 2]);
        let shape = [1, mean.len(), 1, 1];
        let offset = writer.initializer(&format!("{pixels}.mean"), &shape, &Data::F32(&offset));
        let x = writer.node("Sub", &pixels, &[&x, &offset], Vec::new());
        let factor = writer.initializer(&format!("{pixels}.factor"), &shape, &Data::F32(&factor));
        let x = writer.node("Mul", &pixels, &[&x, &factor], Vec::new());
        self.normalized.insert(key, x.clone());
        Ok(x)
    }

    /// The stem and the affine behind it as one float convolution of the normalised image, which zeroes surround.
    ///
    /// Of pixels `x = 255·(std·z + mean)` the frozen stem makes `a·Σ q·x + c`, the sum over the taps inside the image; so the weights of z are
    /// `a·q·255·std`, and `c + a·Σ q·255·mean` is left, which is the same number in every border case: that is how `c` was made. Its inputs are the
    /// integers, a and c.
    pub fn stem(&mut self, inputs: &[Value]) -> Result<String, FormatError> {
        let Exported::Integers { bytes: pixels, weights, border } = self.values[inputs[0].index()] else {
            return Err(self.refuse("no stem stands before it"));
        };
        let (a, c) = (self.vector(inputs[1])?, self.vector(inputs[2])?);
        let q = self.integers(weights)?;
        let &[o, kh, kw, channels] = self.shape(weights) else { return Err(self.refuse("weights of another rank")) };
        let (mean, std) = match self.normalize {
            Some(normalize) => (normalize.mean.clone(), normalize.std.clone()),
            None => (vec![0.0; channels], vec![1.0; channels]),
        };
        if mean.len() != channels || std.len() != channels {
            return Err(self.refuse(format!("the metadata normalises {} channels, not {channels}", mean.len())));
        }
        let number = |o: usize, row: usize, column: usize, channel: usize| {
            f64::from(q[((o * kh + row) * kw + column) * channels + channel])
        };
        let mut w = Vec::with_capacity(q.len());
        for (out, &a) in a.iter().enumerate() {
            for (channel, std) in std.iter().enumerate() {
                let taps = (0..kh).flat_map(|row| (0..kw).map(move |column| (row, column)));
                w.extend(
                    taps.map(|(row, column)| (f64::from(a) * number(out, row, column, channel) * 255.0 * std) as f32),
                );
            }
        }
        let bias = self.bias(border, a, c, |out, row, column| {
            mean.iter().enumerate().map(|(channel, mean)| number(out, row, column, channel) * 255.0 * mean).sum()
        })?;

        let image = self.normalize_image(pixels, &mean, &std)?;
        let w = self.writer.initializer(&format!("{}.weight", self.path), &[o, channels, kh, kw], &Data::F32(&w));
        let bias = self.writer.initializer(&format!("{}.bias", self.path), &[o], &Data::F32(&bias));
        Ok(self.conv(&[&image, &w, &bias], &border.window, border.window.padding, 1))
    }

    /// `c + a·Σ q·255·mean` of each channel, from the border case with most taps inside the image, and checked against all others. `of_tap` is
    /// `Σ q·255·mean` over the channels of one tap.
    pub fn bias(
        &self,
        border: Border,
        a: &[f32],
        c: &[f32],
        of_tap: impl Fn(usize, usize, usize) -> f64,
    ) -> Result<Vec<f32>, FormatError> {
        let window = border.window;
        let output = window.output(border.input).map_err(|_| self.refuse("a window larger than the image"))?;
        let [rows, columns] = [0, 1].map(|axis| window.border_cases(axis, border.input[axis], output[axis]).taps);
        let mut bias = Vec::with_capacity(a.len());
        let channels = a.len();
        for (out, &a) in a.iter().enumerate() {
            let mut best = (0, 0.0);
            let mut cases = Vec::with_capacity(rows.len() * columns.len());
            for (i, row_taps) in rows.iter().enumerate() {
                for (j, column_taps) in columns.iter().enumerate() {
                    let mut sum = 0.0;
                    for row in row_taps.clone() {
                        for column in column_taps.clone() {
                            sum += of_tap(out, row, column);
                        }
                    }
                    let c = f64::from(c[(i * columns.len() + j) * channels + out]);
                    let product = f64::from(a) * sum;
                    cases.push((c + product, c.abs() + product.abs()));
                    let taps = row_taps.len() * column_taps.len();
                    if taps >= best.0 {
                        best = (taps, c + product);
                    }
                }
            }
            // a and c are rounded to f32, each once.
            let rounding = f64::from(f32::EPSILON);
            let most = cases.iter().fold(0.0f64, |most, &(_, size)| most.max(size));
            if cases.iter().any(|&(b, _)| (b - best.1).abs() > 2.0 * rounding * most) {
                return Err(self.refuse(
                    "its constants at the border are not those of what the bytes stand for: of an image, mean and std are missing in the metadata, or wrong",
                ));
            }
            bias.push(best.1 as f32);
        }
        Ok(bias)
    }

    /// Integers of 16 bits.
    pub fn integers(&self, value: Value) -> Result<&[i16], FormatError> {
        match &self.values[value.index()] {
            Exported::Stored(constant) => match &constant.data {
                Elements::I16(data) if data.len() == constant.meta.shape.elements() => Ok(data),
                _ => Err(self.refuse(format!("'{}' should be integers that fill {}", constant.path, constant.meta))),
            },
            _ => Err(self.refuse("weights that are no constant")),
        }
    }
}
