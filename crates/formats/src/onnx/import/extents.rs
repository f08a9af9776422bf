//! Nodes that move elements, or take sums over whole axes.

use binary_nets_graph::ops::{self, Reduce, Reduction, Repeat};

use super::Importer;
use super::constant::Constant;
use super::fold::{axis, flattened, permutation, ranges, reshaped, squeezed};
use super::node::{Node, Result, listed};
use super::term::{Codes, Map, Term};
use crate::onnx::axes::{channels_first, keeps_order, permuted_shape};

/// The most elements that are put around a value.
const MOST_PADS: i64 = 1 << 20;

fn list(inputs: &[Option<Term>], i: usize) -> Result<Option<Vec<i64>>> {
    match inputs.get(i) {
        Some(Some(Term::Constant(list))) => list.integers().map(Some),
        Some(Some(_)) => Err("a list of axes or extents depends on the input".into()),
        Some(None) | None => Ok(None),
    }
}

impl Importer {
    /// The same with what a value is made of: codes move as what they are codes of.
    fn inside(&mut self, x: &Term, f: impl FnOnce(&mut Self, &Term) -> Result<Map>) -> Result<Term> {
        Ok(match x {
            Term::Codes(codes) => {
                let source = f(self, &Term::Map(codes.source.clone()))?;
                Term::Codes(Codes { source, ..codes.clone() })
            }
            Term::Signum { source, shift } => {
                let source = f(self, &Term::Map(source.clone()))?;
                Term::Signum { source, shift: *shift }
            }
            x => Term::Map(f(self, x)?),
        })
    }

    /// Axes in another order: nothing moves before somebody needs it to.
    pub fn transpose(&mut self, node: &Node, x: &Term) -> Result<Term> {
        let order = permutation(node.ints("perm"), self.extents(x).len())?;
        let moved = |old: &[usize]| permuted_shape(old, &order);
        Ok(match x {
            Term::Pixels(pixels) => {
                Term::Pixels(super::image::Pixels { order: moved(&pixels.order), ..pixels.clone() })
            }
            Term::Padded(padded) => {
                let inner = self.transpose(node, &padded.inner)?;
                let pads = order.iter().map(|&axis| padded.pads[axis]).collect();
                Self::padded(inner, pads, padded.value)
            }
            x => self.inside(x, |importer, x| {
                let map = importer.map(x)?;
                Ok(Map { order: moved(&map.order), ..map })
            })?,
        })
    }

    /// Other extents, by a list, an axis, or axes of 1 that come or go.
    pub fn reshape(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Term> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let from = self.extents(x);
        let to = match node.proto.op_type.as_str() {
            "Flatten" => flattened(&from, node.int("axis", 1))?,
            "Reshape" if node.int("allowzero", 0) != 0 => return Err("its extents may be 0".into()),
            "Reshape" => {
                let dims = list(inputs, 1)?.or_else(|| node.ints("shape").map(<[i64]>::to_vec));
                reshaped(&from, &dims.ok_or("it has no extents")?)?
            }
            op => {
                let axes = list(inputs, 1)?.or_else(|| node.ints("axes").map(<[i64]>::to_vec));
                squeezed(&from, axes.as_deref(), op == "Unsqueeze")?
            }
        };
        if to.first() != from.first() {
            return Err(format!("{from:?} becomes {to:?}, so the batch is not the first axis any more").into());
        }
        self.inside(x, |importer, x| {
            let map = importer.map(x)?;
            importer.reshaped(&map, &to)
        })
    }

    fn reshaped(&mut self, map: &Map, to: &[usize]) -> Result<Map> {
        let emit = |importer: &mut Self, x, extents: &[usize]| {
            let dims = extents.iter().enumerate().map(|(axis, &extent)| if axis == 0 { 0 } else { extent as i64 });
            importer.emit(ops::Reshape { dims: dims.collect() }, &[x])
        };
        let shape = self.shape(map.value);
        let rank = to.len();
        // Of a map whose rows and columns stay only the channels fall into others.
        if rank >= 4 && shape.len() >= 4 && map.order == channels_first(shape.len()) && to[rank - 2..] == shape[1..3] {
            let extents = [&[to[0]], &to[rank - 2..], &to[1..rank - 2]].concat();
            return Ok(Map { value: emit(self, map.value, &extents)?, order: channels_first(rank) });
        }
        let in_place: Vec<usize> = (0..shape.len()).collect();
        let x = if keeps_order(&shape, &map.order) { map.value } else { self.in_order(map, &in_place)? };
        let order = channels_first(rank);
        let back = crate::onnx::axes::inverse(&order);
        if keeps_order(to, &back) {
            let value = emit(self, x, &permuted_shape(to, &back))?;
            return Ok(Map { value, order });
        }
        Ok(Map { value: emit(self, x, to)?, order: (0..rank).collect() })
    }

    /// Numbers around a value, which the convolution behind it may take for its own padding.
    pub fn pad(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Term> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        if !matches!(node.string("mode"), None | Some("constant")) {
            return Err("it pads with other numbers than a constant".into());
        }
        let rank = self.extents(x).len();
        let pads = list(inputs, 1)?.or_else(|| node.ints("pads").map(<[i64]>::to_vec)).ok_or("it has no pads")?;
        let axes = match list(inputs, 3)? {
            Some(axes) => axes.iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() || pads.iter().any(|pad| !(0..MOST_PADS).contains(pad)) {
            return Err(format!("its pads {} should be two numbers of 0 or more for each axis", listed(&pads)).into());
        }
        let value = match inputs.get(2) {
            Some(Some(Term::Constant(value))) => value.scalar().ok_or("it should pad with one number")?,
            Some(Some(_)) => return Err("what it pads with depends on the input".into()),
            Some(None) | None => node.float("value", 0.0),
        };
        let mut around = vec![[0; 2]; rank];
        for (i, &axis) in axes.iter().enumerate() {
            around[axis] = [pads[i] as usize, pads[axes.len() + i] as usize];
        }
        if around.iter().all(|pads| *pads == [0, 0]) {
            return Ok(x.clone());
        }
        if let Term::Padded(padded) = x {
            if padded.value != value {
                return Err(format!("it puts {value} around what has {} around it", padded.value).into());
            }
            let sum = padded.pads.iter().zip(&around).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect();
            return Ok(Self::padded(padded.inner.clone(), sum, value));
        }
        Ok(Self::padded(x.clone(), around, value))
    }

    /// Values side by side.
    pub fn concat(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        let [Some(first), rest @ ..] = inputs else { return Err("an input is missing".into()) };
        let first = self.map(first)?;
        let along = axis(node.int("axis", 0), first.order.len())?;
        let mut values = vec![first.value];
        for term in rest {
            let map = self.map(term.as_ref().ok_or("an input is missing")?)?;
            if map.order.len() != first.order.len() {
                return Err("its inputs are of several ranks".into());
            }
            let value = self.in_order(&map, &first.order)?;
            values.push(value);
        }
        if first.order[along] == 0 {
            return Err("it joins batches".into());
        }
        Ok(Map { value: self.emit(ops::Concat { axis: first.order[along] }, &values)?, order: first.order })
    }

    /// Parts of axes.
    pub fn slice(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let constants: Vec<Option<Constant>> = inputs
            .iter()
            .map(|input| if let Some(Term::Constant(constant)) = input { Some(constant.clone()) } else { None })
            .collect();
        let extents = self.extents(x);
        let mut map = self.map(x)?;
        for range in ranges(node, &constants, &extents)? {
            if (range.start, range.end) != (0, extents[range.axis]) {
                self.part(&mut map, range.axis, range.start, range.end)?;
            }
        }
        Ok(map)
    }

    fn part(&mut self, map: &mut Map, along: usize, start: usize, end: usize) -> Result<()> {
        let axis = map.order[along];
        if axis == 0 {
            return Err("it takes a batch apart".into());
        }
        map.value = self.emit(ops::Slice { axis, start, end }, &[map.value])?;
        Ok(())
    }

    /// An axis in parts.
    pub fn split(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Vec<Term>> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let extents = self.extents(x);
        let along = axis(node.int("axis", 0), extents.len())?;
        let outputs = node.proto.output.len();
        let parts = match list(inputs, 1)?.or_else(|| node.ints("split").map(<[i64]>::to_vec)) {
            Some(parts) => parts,
            None if outputs > 0 => {
                let part = extents[along].div_ceil(outputs);
                (0..outputs).map(|i| part.min(extents[along].saturating_sub(i * part)) as i64).collect()
            }
            None => return Err("it has no outputs".into()),
        };
        let is_whole = parts.iter().try_fold(0i64, |sum, &part| sum.checked_add(part).filter(|_| part > 0));
        if parts.len() != outputs || is_whole != Some(extents[along] as i64) {
            return Err(format!("{} are no parts of {}", listed(&parts), extents[along]).into());
        }
        let map = self.map(x)?;
        let mut start = 0;
        let mut terms = Vec::with_capacity(outputs);
        for part in parts {
            let mut here = map.clone();
            self.part(&mut here, along, start, start + part as usize)?;
            start += part as usize;
            terms.push(Term::Map(here));
        }
        Ok(terms)
    }

    /// A value several times in a row.
    pub fn tile(&mut self, inputs: &[Option<Term>]) -> Result<Map> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let mut map = self.map(x)?;
        let times = list(inputs, 1)?.ok_or("it has no repeats")?;
        if times.len() != map.order.len() || times.iter().any(|times| !(1..MOST_PADS).contains(times)) || times[0] != 1
        {
            return Err(format!(
                "its repeats {} should be 1 or more for each axis, and 1 for the batch",
                listed(&times)
            )
            .into());
        }
        for (place, &times) in times.iter().enumerate().filter(|(_, times)| **times != 1) {
            let axis = map.order[place];
            map.value = self.emit(Repeat { axis, times: times as usize }, &[map.value])?;
        }
        Ok(map)
    }

    /// A value stretched to a shape of its own rank.
    pub fn expand(&mut self, inputs: &[Option<Term>]) -> Result<Map> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let to: Option<Vec<usize>> =
            list(inputs, 1)?.ok_or("it has no extents")?.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let extents = self.extents(x);
        let to = super::fold::stretch(&extents, &to.ok_or("its extents are below 0")?)?;
        if to == extents {
            return self.map(x);
        }
        Err(format!("{extents:?} is stretched to {to:?}").into())
    }

    /// Sums, means and maxima over whole axes.
    pub fn reduce(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let map = self.map(x)?;
        let rank = map.order.len();
        let op = node.proto.op_type.as_str();
        let is_global = op.starts_with("Global");
        let reduction = match op {
            "ReduceSum" => Reduction::Sum,
            "ReduceMax" | "GlobalMaxPool" => Reduction::Max,
            _ => Reduction::Mean,
        };
        let places = match list(inputs, 1)?.or_else(|| node.ints("axes").map(<[i64]>::to_vec)) {
            _ if is_global => (2..rank).collect(),
            Some(axes) if !axes.is_empty() => axes.iter().map(|&i| axis(i, rank)).collect::<Result<Vec<_>>>()?,
            _ if node.int("noop_with_empty_axes", 0) != 0 => return Ok(map),
            _ => return Err("it takes all axes together, the batch too".into()),
        };
        let keep = is_global || node.int("keepdims", 1) != 0;
        let mut axes: Vec<usize> = places.iter().map(|&place| map.order[place]).collect();
        axes.sort_unstable();
        axes.dedup();
        if axes.first() == Some(&0) {
            return Err("it takes the images of a batch together".into());
        }
        let value = self.emit(Reduce { reduction, axes: axes.clone(), keep }, &[map.value])?;
        if keep {
            return Ok(Map { value, order: map.order });
        }
        let left = map.order.iter().filter(|axis| !axes.contains(axis));
        let order = left.map(|&axis| axis - axes.iter().filter(|&&gone| gone < axis).count()).collect();
        Ok(Map { value, order })
    }
}
