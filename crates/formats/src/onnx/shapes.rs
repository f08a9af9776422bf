//! Shapes of the ONNX nodes that the exporter writes, by ONNX's own rules: it knows nothing of our graphs, so that it can find the exporter wrong.

use std::collections::BTreeMap;

use super::proto::{AttributeProto, DataType, GraphProto, NodeProto, TensorProto};
use crate::FormatError;

/// The shape of every value of a graph for a batch of so many samples.
pub fn infer(graph: &GraphProto, samples: usize) -> Result<BTreeMap<String, Vec<usize>>, FormatError> {
    let mut shapes = Shapes { known: BTreeMap::new(), constants: BTreeMap::new() };
    for input in &graph.input {
        let dims = input.r#type.iter().filter_map(|t| t.tensor_type.as_ref()?.shape.as_ref()).flat_map(|s| &s.dim);
        let extents = dims.map(|dim| dim.dim_value.map_or(samples, |extent| extent as usize)).collect();
        shapes.known.insert(input.name.clone(), extents);
    }
    for tensor in &graph.initializer {
        let extents = tensor.dims.iter().map(|&extent| extent as usize).collect();
        shapes.known.insert(tensor.name.clone(), extents);
        if tensor.data_type == DataType::Int64 as i32 {
            shapes.constants.insert(&tensor.name, integers(tensor));
        }
    }
    for node in &graph.node {
        let shape = shapes.of(node).ok_or_else(|| FormatError::Onnx {
            node: format!("{} '{}'", node.op_type, node.name),
            reason: "no shape can be inferred for it".to_owned(),
        })?;
        shapes.known.insert(node.output[0].clone(), shape);
    }
    Ok(shapes.known)
}

struct Shapes<'g> {
    known: BTreeMap<String, Vec<usize>>,
    constants: BTreeMap<&'g str, Vec<i64>>,
}

fn integers(tensor: &TensorProto) -> Vec<i64> {
    tensor.raw_data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
}

fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

impl Shapes<'_> {
    fn of(&self, node: &NodeProto) -> Option<Vec<usize>> {
        let x = self.known.get(node.input.first()?)?;
        match node.op_type.as_str() {
            "Identity" | "Cast" | "Relu" | "Neg" | "Abs" | "Exp" | "Log" | "Sqrt" | "Tanh" | "Round" | "Clip"
            | "DequantizeLinear" => Some(x.clone()),
            "PRelu" => {
                let stretched = self.stretched(node)?;
                (stretched == *x).then_some(stretched)
            }
            "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual"
            | "Equal" | "Where" | "BitwiseAnd" => self.stretched(node),
            "Transpose" => attribute(node, "perm")?.ints.iter().map(|&axis| x.get(axis as usize).copied()).collect(),
            "Reshape" => self.reshaped(x, node),
            "Expand" => {
                let to: Vec<usize> = self.list(node, 1)?.iter().map(|&extent| extent as usize).collect();
                stretch(x, &to)
            }
            "Tile" => {
                Some(x.iter().zip(self.list(node, 1)?).map(|(&extent, &times)| extent * times as usize).collect())
            }
            "Pad" => {
                let pads = self.list(node, 1)?;
                let (before, after) = pads.split_at(pads.len() / 2);
                let extents = x.iter().zip(before).zip(after);
                (before.len() == x.len())
                    .then(|| extents.map(|((&extent, &b), &a)| extent + (a + b) as usize).collect())
            }
            "Slice" => {
                let (&[start], &[end], &[axis]) = (self.list(node, 1)?, self.list(node, 2)?, self.list(node, 3)?)
                else {
                    return None;
                };
                let mut shape = x.clone();
                let extent = shape.get_mut(axis as usize)?;
                *extent = (end as usize).min(*extent).checked_sub(start as usize)?;
                Some(shape)
            }
            "Concat" => {
                let axis = attribute(node, "axis")?.i? as usize;
                let mut shape = x.clone();
                shape[axis] = 0;
                for name in &node.input {
                    let mut other = self.known.get(name)?.clone();
                    shape[axis] += *other.get(axis)?;
                    other[axis] = shape[axis];
                    if other != shape {
                        return None;
                    }
                }
                Some(shape)
            }
            "ReduceSum" | "ReduceMean" | "ReduceMax" => {
                let (axes, keep) = (self.list(node, 1)?, attribute(node, "keepdims")?.i? != 0);
                let extents = x.iter().enumerate().filter_map(|(axis, &extent)| {
                    if axes.contains(&(axis as i64)) { keep.then_some(1) } else { Some(extent) }
                });
                Some(extents.collect())
            }
            "Gemm" => {
                let turned = |name: &str, [row, column]: [usize; 2]| {
                    if attribute(node, name).and_then(|a| a.i) == Some(1) { [column, row] } else { [row, column] }
                };
                let b = self.known.get(node.input.get(1)?)?;
                let (&[m, k], &[l, n]) = (&x[..], &b[..]) else { return None };
                let ([m, k], [l, n]) = (turned("transA", [m, k]), turned("transB", [l, n]));
                (k == l).then(|| vec![m, n])
            }
            "Conv" => {
                let w = self.known.get(node.input.get(1)?)?;
                let (&[_, c, _, _], &[o, per_group, kh, kw]) = (&x[..], &w[..]) else { return None };
                let groups = attribute(node, "group")?.i? as usize;
                let bias_fits = node.input.get(2).is_none_or(|bias| self.known.get(bias) == Some(&vec![o]));
                let fits = per_group * groups == c && o % groups == 0 && bias_fits;
                let kernel = &attribute(node, "kernel_shape")?.ints;
                if !fits || kernel[..] != [kh as i64, kw as i64] { None } else { windowed(x, node, o) }
            }
            "MaxPool" | "AveragePool" => windowed(x, node, *x.get(1)?),
            _ => None,
        }
    }

    fn list(&self, node: &NodeProto, input: usize) -> Option<&[i64]> {
        self.constants.get(node.input.get(input)?.as_str()).map(Vec::as_slice)
    }

    /// The shape that all inputs stretch to.
    fn stretched(&self, node: &NodeProto) -> Option<Vec<usize>> {
        node.input.iter().try_fold(Vec::new(), |shape, input| stretch(&shape, self.known.get(input)?))
    }

    fn reshaped(&self, x: &[usize], node: &NodeProto) -> Option<Vec<usize>> {
        let dims = self.list(node, 1)?;
        let mut shape: Vec<usize> = Vec::with_capacity(dims.len());
        for (axis, &dim) in dims.iter().enumerate() {
            shape.push(match dim {
                -1 => 1,
                0 => *x.get(axis)?,
                dim => dim as usize,
            });
        }
        let (elements, product): (usize, usize) = (x.iter().product(), shape.iter().product());
        if let Some(axis) = dims.iter().position(|&dim| dim == -1) {
            shape[axis] = elements.checked_div(product)?;
        }
        (shape.iter().product::<usize>() == elements).then_some(shape)
    }
}

/// The shape that two stretch to, matched from the last axis.
fn stretch(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let mut shape = long.to_vec();
    for (extent, &other) in shape.iter_mut().rev().zip(short.iter().rev()) {
        match (*extent, other) {
            (x, y) if x == y => {}
            (1, y) => *extent = y,
            (_, 1) => {}
            _ => return None,
        }
    }
    Some(shape)
}

/// `[n, c, h', w']` for a window that slides over x.
fn windowed(x: &[usize], node: &NodeProto, channels: usize) -> Option<Vec<usize>> {
    let (kernel, strides) = (&attribute(node, "kernel_shape")?.ints, &attribute(node, "strides")?.ints);
    let pads = &attribute(node, "pads")?.ints;
    let ceil = attribute(node, "ceil_mode").and_then(|a| a.i) == Some(1);
    let mut shape = vec![*x.first()?, channels];
    for axis in 0..2 {
        let dilation = attribute(node, "dilations").map_or(Some(1), |a| a.ints.get(axis).copied())?;
        let reach = (kernel.get(axis)? - 1) * dilation + 1;
        let padded = *x.get(2 + axis)? as i64 + pads.get(axis)? + pads.get(2 + axis)?;
        let stride = *strides.get(axis)?;
        let room = padded.checked_sub(reach).filter(|&room| room >= 0)?;
        shape.push((if ceil { (room + stride - 1) / stride } else { room / stride }) as usize + 1);
    }
    Some(shape)
}
