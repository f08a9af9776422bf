//! Nodes that depend on constants alone are computed while the model is read: unpacked bits, binarised weights, shapes.

use half::f16;

use super::constant::{Constant, MOST_AXES, Numbers, elements};
use super::node::{Node, Result, listed};
use crate::budget::Budget;
use crate::onnx::axes::{permuted, permuted_shape};
use crate::onnx::proto::DataType;

/// The value of a node whose inputs are all constants; an input that is left out is None.
pub fn fold(node: &Node, inputs: &[Option<Constant>], budget: &mut Budget) -> Result<Constant> {
    let op = node.proto.op_type.as_str();
    if op == "Constant" {
        return constant(node, budget);
    }
    let Some(Some(x)) = inputs.first() else { return Err("it has no inputs".into()) };
    let other = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let second = || other(1).ok_or("its second input is missing");
    let mut folder = Folder { budget };
    match op {
        "Identity" | "Dropout" => Ok(x.clone()),
        "Cast" => folder.cast(x, node.int("to", 0)),
        "Sign" => folder.each(x, |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }),
        "Neg" => folder.each(x, |x| -x),
        "Abs" => folder.each(x, f64::abs),
        "Sqrt" => folder.each(x, f64::sqrt),
        "Reciprocal" => folder.each(x, |x| 1.0 / x),
        "Floor" => folder.each(x, f64::floor),
        "Round" => folder.each(x, f64::round_ties_even),
        "Not" => folder.each(x, |x| f64::from(u8::from(x == 0.0))),
        "Add" => folder.both(x, second()?, |a, b| a + b),
        "Sub" => folder.both(x, second()?, |a, b| a - b),
        "Mul" => folder.both(x, second()?, |a, b| a * b),
        "Div" if matches!(*x.data, Numbers::F32(_)) => folder.both(x, second()?, |a, b| a / b),
        "Div" => folder.both(x, second()?, |a, b| (a / b).trunc()),
        "Min" => folder.all(inputs, f64::min),
        "Max" => folder.all(inputs, f64::max),
        "BitwiseAnd" => folder.both(x, second()?, |a, b| (a as i64 & b as i64) as f64),
        "BitShift" => {
            let left = node.string("direction") == Some("LEFT");
            folder.both(x, second()?, |a, b| {
                let (a, b) = (a as u64, (b as u32).min(63));
                (if left { a << b } else { a >> b }) as f64
            })
        }
        "Less" => folder.relation(x, second()?, |a, b| a < b),
        "LessOrEqual" => folder.relation(x, second()?, |a, b| a <= b),
        "Greater" => folder.relation(x, second()?, |a, b| a > b),
        "GreaterOrEqual" => folder.relation(x, second()?, |a, b| a >= b),
        "Equal" => folder.relation(x, second()?, |a, b| a == b),
        "Where" => folder.choose(x, second()?, other(2).ok_or("its third input is missing")?),
        "Clip" => {
            let end = |i: usize, name: &str, default: f32| match other(i) {
                Some(end) => end.scalar().ok_or("each of its bounds should be one number"),
                None => Ok(node.float(name, default)),
            };
            let (min, max) = (end(1, "min", f32::MIN)?, end(2, "max", f32::MAX)?);
            folder.each(x, |x| x.max(min.into()).min(max.into()))
        }
        "BipolarQuant" => {
            let signs = folder.each(x, |x| if x < 0.0 { -1.0 } else { 1.0 })?;
            folder.both(&signs, second()?, |sign, scale| sign * scale)
        }
        "DequantizeLinear" => folder.dequantize(node, x, second()?, other(2)),
        "QuantizeLinear" => folder.quantize(node, x, second()?, other(2)),
        "Reshape" => {
            let dims = second()?.integers()?;
            Ok(Constant { shape: reshaped(&x.shape, &dims)?, data: x.data.clone() })
        }
        "Flatten" => Ok(Constant { shape: flattened(&x.shape, node.int("axis", 1))?, data: x.data.clone() }),
        "Squeeze" | "Unsqueeze" => {
            let axes = other(1).map(Constant::integers).transpose()?.or_else(|| node.ints("axes").map(<[i64]>::to_vec));
            Ok(Constant { shape: squeezed(&x.shape, axes.as_deref(), op == "Unsqueeze")?, data: x.data.clone() })
        }
        "Transpose" => folder.transpose(x, node.ints("perm")),
        "Concat" => folder.concat(node, inputs),
        "Gather" => folder.gather(node, x, second()?),
        "Slice" => folder.slice(node, inputs),
        "Expand" => {
            let to: Vec<usize> = second()?.integers()?.iter().map(|&extent| extent.max(0) as usize).collect();
            let shape = stretch(&x.shape, &to)?;
            folder.stretched(&[x], shape, |at| at[0])
        }
        "ConstantOfShape" => {
            let shape: Vec<usize> = x.integers()?.iter().map(|&extent| extent.max(0) as usize).collect();
            let value = node.tensor("value").map(|t| Constant::decode(t, folder.budget)).transpose()?;
            let value = value.unwrap_or_else(|| Constant::new(vec![1], Numbers::F32(vec![0.0])));
            if value.data.len() != 1 {
                return Err("its value should be one number".into());
            }
            let value = Constant { shape: Vec::new(), ..value };
            folder.stretched(&[&value], shape, |at| at[0])
        }
        _ => Err("it is not computed from constants".into()),
    }
}

fn constant(node: &Node, budget: &mut Budget) -> Result<Constant> {
    if let Some(tensor) = node.tensor("value") {
        return Constant::decode(tensor, budget);
    }
    Ok(match (node.ints("value_ints"), node.floats("value_floats")) {
        (Some(values), _) => Constant::new(vec![values.len()], Numbers::I64(values.to_vec())),
        (_, Some(values)) => Constant::new(vec![values.len()], Numbers::F32(values.to_vec())),
        _ if node.has("value_int") => Constant::new(Vec::new(), Numbers::I64(vec![node.int("value_int", 0)])),
        _ if node.has("value_float") => Constant::new(Vec::new(), Numbers::F32(vec![node.float("value_float", 0.0)])),
        _ => return Err("its value is neither a tensor nor numbers".into()),
    })
}

/// An axis that may be counted from the end.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("there is no axis {axis} of {rank}").into())
}

/// The two extents that `Flatten` makes, split at an axis, or behind the last one.
pub fn flattened(shape: &[usize], at: i64) -> Result<Vec<usize>> {
    let rank = shape.len();
    let outer = if usize::try_from(at) == Ok(rank) { rank } else { axis(at, rank)? };
    Ok(vec![shape[..outer].iter().product(), shape[outer..].iter().product()])
}

/// The extents that `Reshape` makes: 0 keeps one, −1 takes what is left.
pub fn reshaped(shape: &[usize], dims: &[i64]) -> Result<Vec<usize>> {
    let impossible = || format!("{shape:?} cannot become {}", listed(dims));
    let mut extents = Vec::with_capacity(dims.len());
    for (axis, &dim) in dims.iter().enumerate() {
        extents.push(match dim {
            -1 => 1,
            0 => *shape.get(axis).ok_or_else(impossible)?,
            dim => usize::try_from(dim).map_err(|_| impossible())?,
        });
    }
    let product = elements(&extents).ok_or_else(impossible)?;
    let n = elements(shape).ok_or_else(impossible)?;
    let mut rest = (0..dims.len()).filter(|&axis| dims[axis] == -1);
    match (rest.next(), rest.next()) {
        (Some(axis), None) if product > 0 && n % product == 0 => extents[axis] = n / product,
        (None, _) if product == n => {}
        _ => return Err(impossible().into()),
    }
    Ok(extents)
}

/// The extents without those of 1, all or some, or with more of them.
pub fn squeezed(shape: &[usize], axes: Option<&[i64]>, more: bool) -> Result<Vec<usize>> {
    let Some(axes) = axes else { return Ok(shape.iter().copied().filter(|&extent| extent != 1).collect()) };
    let rank = shape.len() + if more { axes.len() } else { 0 };
    if rank > MOST_AXES {
        return Err(format!("a value cannot have {rank} axes").into());
    }
    let axes = axes.iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>>>()?;
    let mut old = shape.iter().copied().enumerate();
    let mut extents = Vec::with_capacity(rank);
    for place in 0..rank {
        let is_named = axes.contains(&place);
        if more && is_named {
            extents.push(1);
        } else if let Some((_, extent)) = old.next() {
            if !is_named {
                extents.push(extent);
            } else if extent != 1 {
                return Err(format!("axis {place} of {shape:?} is not 1").into());
            }
        }
    }
    if elements(&extents) != elements(shape) {
        return Err(format!("an axis of {shape:?} is named twice").into());
    }
    Ok(extents)
}

/// The shape that two stretch to.
pub fn stretch(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    match binary_nets_graph::broadcast(a, b) {
        Some(shape) => Ok(shape.to_vec()),
        None => Err(format!("{a:?} and {b:?} do not stretch to one shape").into()),
    }
}

struct Folder<'b> {
    budget: &'b mut Budget,
}

impl Folder<'_> {
    fn spend(&mut self, n: usize, size: usize) -> Result<()> {
        Ok(self.budget.spend("a computed constant", n.saturating_mul(size))?)
    }

    fn each(&mut self, x: &Constant, f: impl Fn(f64) -> f64) -> Result<Constant> {
        self.spend(x.data.len(), x.data.element_size())?;
        let numbers = (0..x.data.len()).map(|i| f(x.data.at(i)));
        Ok(Constant::new(x.shape.clone(), x.data.alike(numbers)))
    }

    /// Numbers of inputs stretched to a shape, as the first is stored.
    fn stretched(&mut self, inputs: &[&Constant], shape: Vec<usize>, f: impl Fn(&[f64]) -> f64) -> Result<Constant> {
        let n = elements(&shape).ok_or("a shape that is too large")?;
        let alike = &inputs[0].data;
        self.spend(n, alike.element_size())?;
        let mut walk = Walk::new(inputs, &shape);
        let mut at = vec![0.0; inputs.len()];
        let numbers = (0..n).map(|_| {
            for (number, (input, &offset)) in at.iter_mut().zip(inputs.iter().zip(&walk.offsets)) {
                *number = input.data.at(offset);
            }
            walk.step();
            f(&at)
        });
        let data = alike.alike(numbers);
        Ok(Constant::new(shape, data))
    }

    fn both(&mut self, a: &Constant, b: &Constant, f: impl Fn(f64, f64) -> f64) -> Result<Constant> {
        let shape = stretch(&a.shape, &b.shape)?;
        self.stretched(&[a, b], shape, |at| f(at[0], at[1]))
    }

    /// Of one input or more.
    fn all(&mut self, inputs: &[Option<Constant>], f: impl Fn(f64, f64) -> f64) -> Result<Constant> {
        let Some(mut all) = inputs.iter().cloned().collect::<Option<Vec<_>>>() else {
            return Err("an input is missing".into());
        };
        let mut result = all.remove(0);
        for other in &all {
            result = self.both(&result, other, &f)?;
        }
        Ok(result)
    }

    fn relation(&mut self, a: &Constant, b: &Constant, f: impl Fn(f64, f64) -> bool) -> Result<Constant> {
        // The first input says how numbers are stored: truth values are bytes.
        let truth = Constant::new(Vec::new(), Numbers::U8(vec![0]));
        let shape = stretch(&a.shape, &b.shape)?;
        self.stretched(&[&truth, a, b], shape, |at| f64::from(u8::from(f(at[1], at[2]))))
    }

    fn choose(&mut self, mask: &Constant, a: &Constant, b: &Constant) -> Result<Constant> {
        let shape = stretch(&stretch(&a.shape, &b.shape)?, &mask.shape)?;
        self.stretched(&[a, b, mask], shape, |at| if at[2] == 0.0 { at[1] } else { at[0] })
    }

    fn cast(&mut self, x: &Constant, to: i64) -> Result<Constant> {
        let to = i32::try_from(to).ok().and_then(DataType::from_number).ok_or("its type is not known")?;
        let n = x.data.len();
        let numbers = (0..n).map(|i| x.data.at(i));
        let (size, data) = match to {
            DataType::Float | DataType::Double | DataType::Float16 => (4, Numbers::F32(Vec::new())),
            DataType::Int16 | DataType::Uint16 | DataType::Int32 | DataType::Int64 => (8, Numbers::I64(Vec::new())),
            DataType::Int8 => (1, Numbers::I8(Vec::new())),
            DataType::Uint8 | DataType::Bool => (1, Numbers::U8(Vec::new())),
        };
        self.spend(n, size)?;
        let data = match to {
            DataType::Bool => data.alike(numbers.map(|x| f64::from(u8::from(x != 0.0)))),
            DataType::Float16 => data.alike(numbers.map(|x| f16::from_f64(x).to_f64())),
            _ => data.alike(numbers),
        };
        Ok(Constant::new(x.shape.clone(), data))
    }

    /// `(q − zero)·scale`, one scale for all or for each element of an axis.
    fn dequantize(&mut self, node: &Node, q: &Constant, scale: &Constant, zero: Option<&Constant>) -> Result<Constant> {
        let along = |x: &Constant| along_axis(x, node, q.shape.len());
        let scale = along(scale)?;
        let zero = zero.map(along).transpose()?.unwrap_or_else(|| Constant::new(Vec::new(), Numbers::I8(vec![0])));
        if stretch(&stretch(&scale.shape, &zero.shape)?, &q.shape)? != q.shape {
            return Err("its scales are not those of an axis".into());
        }
        self.stretched(&[&scale, &zero, q], q.shape.clone(), |at| (at[2] - at[1]) * at[0])
    }

    /// `round(x/scale) + zero`, within the bounds of the type of zero.
    fn quantize(&mut self, node: &Node, x: &Constant, scale: &Constant, zero: Option<&Constant>) -> Result<Constant> {
        let along = |x: &Constant, rank| along_axis(x, node, rank);
        let scale = along(scale, x.shape.len())?;
        let zero = match zero {
            Some(zero) => along(zero, x.shape.len())?,
            None => Constant::new(Vec::new(), Numbers::U8(vec![0])),
        };
        let (min, max) = if matches!(*zero.data, Numbers::I8(_)) { (-128.0, 127.0) } else { (0.0, 255.0) };
        let shape = stretch(&stretch(&scale.shape, &zero.shape)?, &x.shape)?;
        self.stretched(&[&zero, &scale, x], shape, |at| ((at[2] / at[1]).round_ties_even() + at[0]).clamp(min, max))
    }

    fn transpose(&mut self, x: &Constant, perm: Option<&[i64]>) -> Result<Constant> {
        let order = permutation(perm, x.shape.len())?;
        self.spend(x.data.len(), x.data.element_size())?;
        let data = match &*x.data {
            Numbers::F32(data) => Numbers::F32(permuted(data, &x.shape, &order)),
            Numbers::I64(data) => Numbers::I64(permuted(data, &x.shape, &order)),
            Numbers::I8(data) => Numbers::I8(permuted(data, &x.shape, &order)),
            Numbers::U8(data) => Numbers::U8(permuted(data, &x.shape, &order)),
        };
        Ok(Constant::new(permuted_shape(&x.shape, &order), data))
    }

    /// Lists of shapes are put together so; only the first axis.
    fn concat(&mut self, node: &Node, inputs: &[Option<Constant>]) -> Result<Constant> {
        let parts: Option<Vec<&Constant>> = inputs.iter().map(Option::as_ref).collect();
        let Some([first, rest @ ..]) = parts.as_deref() else { return Err("an input is missing".into()) };
        let rank = first.shape.len();
        if rank == 0 || axis(node.int("axis", 0), rank)? != 0 {
            return Err("constants are joined along their first axis only".into());
        }
        let mut shape = first.shape.clone();
        for part in rest {
            if part.shape.get(1..) != Some(&shape[1..]) {
                return Err(format!("{:?} and {shape:?} are joined", part.shape).into());
            }
            shape[0] += part.shape[0];
        }
        self.spend(elements(&shape).ok_or("a shape that is too large")?, first.data.element_size())?;
        let all = [*first].into_iter().chain(rest.iter().copied());
        let data = first.data.alike(all.flat_map(|part| (0..part.data.len()).map(|i| part.data.at(i))));
        Ok(Constant::new(shape, data))
    }

    /// Elements of a list.
    fn gather(&mut self, node: &Node, x: &Constant, indices: &Constant) -> Result<Constant> {
        let &[n] = &x.shape[..] else { return Err("elements are picked from lists only".into()) };
        axis(node.int("axis", 0), 1)?;
        self.spend(indices.data.len(), x.data.element_size())?;
        let indices_of = indices.integers()?.into_iter().map(|i| axis(i, n)).collect::<Result<Vec<_>>>()?;
        let data = x.data.alike(indices_of.into_iter().map(|i| x.data.at(i)));
        Ok(Constant::new(indices.shape.clone(), data))
    }

    /// A part of the first axis.
    fn slice(&mut self, node: &Node, inputs: &[Option<Constant>]) -> Result<Constant> {
        let Some(Some(x)) = inputs.first() else { return Err("it has no inputs".into()) };
        let [range] = &ranges(node, inputs, &x.shape)?[..] else {
            return Err("constants are cut along one axis only".into());
        };
        if range.axis != 0 {
            return Err("constants are cut along their first axis only".into());
        }
        let row: usize = x.shape[1..].iter().product();
        self.spend((range.end - range.start) * row, x.data.element_size())?;
        let data = x.data.alike((range.start * row..range.end * row).map(|i| x.data.at(i)));
        let shape = [&[range.end - range.start], &x.shape[1..]].concat();
        Ok(Constant::new(shape, data))
    }
}

/// A list along the axis that the attribute `axis` names, as extents that stretch.
fn along_axis(x: &Constant, node: &Node, rank: usize) -> Result<Constant> {
    if x.data.len() == 1 {
        return Ok(Constant { shape: Vec::new(), data: x.data.clone() });
    }
    if x.shape.len() != 1 {
        return Err("its scales are not those of an axis".into());
    }
    let axis = axis(node.int("axis", 1), rank)?;
    let mut shape = vec![1; rank - axis];
    shape[0] = x.data.len();
    Ok(Constant { shape, data: x.data.clone() })
}

/// Every axis once; the attribute left out turns them round.
pub fn permutation(perm: Option<&[i64]>, rank: usize) -> Result<Vec<usize>> {
    let Some(perm) = perm else { return Ok((0..rank).rev().collect()) };
    let order = perm.iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.into_iter().eq(0..rank) {
        Ok(order)
    } else {
        Err(format!("{} is no order of {rank} axes", listed(perm)).into())
    }
}

/// A part of an axis.
pub struct Range {
    pub axis: usize,
    pub start: usize,
    pub end: usize,
}

/// What `Slice` keeps, with inputs or, before opset 10, attributes.
pub fn ranges(node: &Node, inputs: &[Option<Constant>], shape: &[usize]) -> Result<Vec<Range>> {
    let list = |input: usize, name: &str| match inputs.get(input) {
        Some(Some(list)) => list.integers().map(Some),
        _ => Ok(node.ints(name).map(<[i64]>::to_vec)),
    };
    let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
    let (Some(starts), Some(ends)) = (starts, ends) else { return Err("its starts or ends are no constants".into()) };
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.iter().any(|&step| step != 1) {
        return Err("its lists are not of one length, or it leaves out elements in between".into());
    }
    let mut ranges = Vec::with_capacity(starts.len());
    for ((&start, &end), &along) in starts.iter().zip(&ends).zip(&axes) {
        let axis = axis(along, shape.len())?;
        let extent = shape[axis] as i64;
        let place = |i: i64| (if i < 0 { i.saturating_add(extent) } else { i }).clamp(0, extent) as usize;
        let (start, end) = (place(start), place(end));
        if start >= end {
            return Err(format!("it keeps nothing of axis {axis}").into());
        }
        ranges.push(Range { axis, start, end });
    }
    Ok(ranges)
}

/// Walks over a shape in row-major order, with the place in each input that is stretched to it.
struct Walk {
    shape: Vec<usize>,
    position: Vec<usize>,
    /// By input, by axis.
    strides: Vec<Vec<usize>>,
    offsets: Vec<usize>,
}

impl Walk {
    fn new(inputs: &[&Constant], shape: &[usize]) -> Self {
        let strides = inputs.iter().map(|input| {
            let mut strides = vec![0; shape.len()];
            let mut stride = 1;
            for (place, &extent) in strides.iter_mut().rev().zip(input.shape.iter().rev()) {
                *place = if extent == 1 { 0 } else { stride };
                stride *= extent;
            }
            strides
        });
        Self {
            strides: strides.collect(),
            shape: shape.to_vec(),
            position: vec![0; shape.len()],
            offsets: vec![0; inputs.len()],
        }
    }

    fn step(&mut self) {
        for axis in (0..self.shape.len()).rev() {
            self.position[axis] += 1;
            let wraps = self.position[axis] == self.shape[axis];
            for (offset, strides) in self.offsets.iter_mut().zip(&self.strides) {
                *offset += strides[axis];
                if wraps {
                    *offset -= strides[axis] * self.shape[axis];
                }
            }
            if !wraps {
                return;
            }
            self.position[axis] = 0;
        }
    }
}
