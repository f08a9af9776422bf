//! Ops that move elements, or sum them over whole axes.

use binary_nets_graph::Value;
use binary_nets_graph::ops::{PadAxis, Reduce, Reduction, Repeat, Slice};

use super::{Exporter, SAMPLES};
use crate::FormatError;
use crate::onnx::axes::{channels_first, inverse, keeps_order, permuted_shape};
use crate::onnx::proto::AttributeProto;

/// Where an axis of a value of this rank stands in the model.
fn place(axis: usize, rank: usize) -> i64 {
    inverse(&channels_first(rank))[axis] as i64
}

impl Exporter<'_> {
    /// Extents as `Reshape` and `Expand` take them: what every batch has, and the batch itself kept or left open.
    fn extents(&mut self, shape: &[usize], batch: i64) -> String {
        let extents = shape.iter().enumerate().map(|(axis, &extent)| match axis {
            0 if extent == SAMPLES => batch,
            _ => extent as i64,
        });
        let extents: Vec<i64> = extents.collect();
        self.writer.integers(&extents)
    }

    /// The same elements in other extents. Maps whose rows and columns stay, stay channels-first.
    pub fn reshape(&mut self, x: Value, y: &[usize]) -> Result<String, FormatError> {
        let shape = self.shape(x);
        let mut name = self.map(x)?;
        let (from, to) = (channels_first(shape.len()), channels_first(y.len()));
        let are_maps = shape.len() >= 4 && y.len() >= 4 && shape[..3] == y[..3];
        if !are_maps && !keeps_order(shape, &from) {
            name = self.writer.transpose(self.path, &name, &inverse(&from));
        }
        let stays = are_maps || keeps_order(y, &to);
        let extents = if stays { permuted_shape(y, &to) } else { y.to_vec() };
        let batch = if shape.first() == y.first() { 0 } else { -1 };
        let extents = self.extents(&extents, batch);
        name = self.writer.node("Reshape", self.path, &[&name, &extents], Vec::new());
        Ok(if stays { name } else { self.writer.transpose(self.path, &name, &to) })
    }

    /// Axis `i` of the output is axis `permutation[i]` of x, both channels-first.
    pub fn transpose(&mut self, permutation: &[usize], x: Value) -> Result<String, FormatError> {
        let name = self.map(x)?;
        let order = channels_first(permutation.len());
        let places = inverse(&order);
        let order: Vec<usize> = order.iter().map(|&axis| places[permutation[axis]]).collect();
        Ok(self.writer.transpose(self.path, &name, &order))
    }

    /// A part of an axis.
    pub fn slice(&mut self, slice: &Slice, x: Value) -> Result<String, FormatError> {
        let name = self.map(x)?;
        let axis = place(slice.axis, self.shape(x).len());
        let [start, end, axis] = [slice.start as i64, slice.end as i64, axis].map(|i| self.writer.integers(&[i]));
        Ok(self.writer.node("Slice", self.path, &[&name, &start, &end, &axis], Vec::new()))
    }

    /// Zeroes before and after an axis.
    pub fn pad_axis(&mut self, pad: &PadAxis, x: Value) -> Result<String, FormatError> {
        let name = self.map(x)?;
        let rank = self.shape(x).len();
        let axis = place(pad.axis, rank) as usize;
        let mut pads = vec![0; 2 * rank];
        (pads[axis], pads[rank + axis]) = (pad.before as i64, pad.after as i64);
        let pads = self.writer.integers(&pads);
        Ok(self.writer.node("Pad", self.path, &[&name, &pads], Vec::new()))
    }

    /// Tensors side by side.
    pub fn concat(&mut self, axis: usize, inputs: &[Value], rank: usize) -> Result<String, FormatError> {
        let inputs = inputs.iter().map(|&input| self.map(input)).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let axis = AttributeProto::int("axis", place(axis, rank));
        Ok(self.writer.node("Concat", self.path, &inputs, vec![axis]))
    }

    /// A tensor several times in a row.
    pub fn repeat(&mut self, repeat: &Repeat, x: Value) -> Result<String, FormatError> {
        let name = self.map(x)?;
        let rank = self.shape(x).len();
        let mut times = vec![1; rank];
        times[place(repeat.axis, rank) as usize] = repeat.times as i64;
        let times = self.writer.integers(&times);
        Ok(self.writer.node("Tile", self.path, &[&name, &times], Vec::new()))
    }

    /// A tensor stretched to a shape.
    pub fn broadcast(&mut self, x: Value, y: &[usize]) -> Result<String, FormatError> {
        let name = self.operand(x, y.len())?;
        let extents = permuted_shape(y, &channels_first(y.len()));
        let extents = self.extents(&extents, 1);
        Ok(self.writer.node("Expand", self.path, &[&name, &extents], Vec::new()))
    }

    /// A sum, mean or maximum over whole axes.
    pub fn reduce(&mut self, reduce: &Reduce, x: Value) -> Result<String, FormatError> {
        let op = match reduce.reduction {
            Reduction::Sum => "ReduceSum",
            Reduction::Mean => "ReduceMean",
            Reduction::Max => "ReduceMax",
        };
        let name = self.map(x)?;
        if reduce.axes.is_empty() {
            return Ok(name);
        }
        let rank = self.shape(x).len();
        let mut axes: Vec<i64> = reduce.axes.iter().map(|&axis| place(axis, rank)).collect();
        axes.sort_unstable();
        let axes = self.writer.integers(&axes);
        let keep = AttributeProto::int("keepdims", i64::from(reduce.keep));
        let name = self.writer.node(op, self.path, &[&name, &axes], vec![keep]);
        if reduce.keep {
            return Ok(name);
        }
        // What is left stands in the order of x, which is that of its own rank only by chance.
        let left: Vec<usize> = channels_first(rank).into_iter().filter(|axis| !reduce.axes.contains(axis)).collect();
        let kept: Vec<usize> = (0..rank).filter(|axis| !reduce.axes.contains(axis)).collect();
        let order: Vec<usize> = channels_first(kept.len())
            .into_iter()
            .filter_map(|axis| left.iter().position(|&old| old == kept[axis]))
            .collect();
        Ok(if order.is_sorted() { name } else { self.writer.transpose(self.path, &name, &order) })
    }
}
