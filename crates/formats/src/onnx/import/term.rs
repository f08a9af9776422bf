//! What the values of a model are while it is read.

use binary_nets_graph::ops::{
    Clamp, Compare, Comparison, Fill, PadAxis, Select, Sign, Step, Surrogate, Transpose, Unary, UnaryFunction,
};
use binary_nets_graph::{Node, Op, Shape, Value};

use super::Importer;
use super::constant::Constant;
use super::image::Pixels;
use super::node::Result;
use crate::onnx::axes::{channels_first, permuted_shape};

/// A value of a model.
#[derive(Clone)]
pub enum Term {
    /// It depends on no input.
    Constant(Constant),
    /// The input, so long as only its channels have been scaled and shifted.
    Pixels(Pixels),
    /// Floats.
    Map(Map),
    /// Two numbers by a threshold.
    Codes(Codes),
    /// `Sign(x) + shift`, with ONNX's `Sign(0) = 0`.
    Signum { source: Map, shift: f32 },
    /// Numbers around what is inside, pixels before and after each axis, which the convolution behind it may take for its own.
    Padded(Box<Padded>),
    /// What only the outputs may read, as what it was made of.
    Softmax(Map),
}

/// Floats: axis `i` of the model's value is axis `order[i]` of ours. Transposes change the order and nothing else.
#[derive(Clone)]
pub struct Map {
    pub value: Value,
    pub order: Vec<usize>,
}

/// Where codes change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threshold {
    /// `x ≥ 0`
    NonNegative,
    /// `x > 0`
    Positive,
}

/// `high` where the relation holds, else `low`. A truth value has 1 and 0.
#[derive(Clone)]
pub struct Codes {
    pub source: Map,
    pub holds: Threshold,
    pub low: f32,
    pub high: f32,
}

/// See [`Term::Padded`].
#[derive(Clone)]
pub struct Padded {
    pub inner: Term,
    /// By axis of the model's value.
    pub pads: Vec<[usize; 2]>,
    pub value: f32,
}

/// Codes as an op makes them: of x or of −x, `scale` times ±1 or 0/1.
pub struct CodeKind {
    pub negate: bool,
    pub is_step: bool,
    pub scale: f32,
}

impl Codes {
    /// How an op makes them, if one does.
    pub fn kind(&self) -> Option<CodeKind> {
        let Self { low, high, .. } = *self;
        let kind = |negate, is_step, scale| Some(CodeKind { negate, is_step, scale });
        match self.holds {
            Threshold::NonNegative if low == -high && high != 0.0 => kind(false, false, high),
            // `x < 0` is `−x > 0`.
            Threshold::NonNegative if high == 0.0 && low != 0.0 => kind(true, true, low),
            Threshold::Positive if low == 0.0 && high != 0.0 => kind(false, true, high),
            // 1 where x > 0, else −1, is −sign(−x).
            Threshold::Positive if low == -high && high != 0.0 => kind(true, false, -high),
            _ => None,
        }
    }

    /// The same threshold with other numbers.
    pub fn through(&self, f: impl Fn(f32) -> f32) -> Self {
        Self { low: f(self.low), high: f(self.high), ..self.clone() }
    }

    /// Whether it is a truth value.
    pub fn is_truth(&self) -> bool {
        (self.low, self.high) == (0.0, 1.0) || (self.low, self.high) == (1.0, 0.0)
    }
}

impl Importer {
    /// Extents of one of our values.
    pub fn shape(&self, value: Value) -> Vec<usize> {
        self.graph.meta(value).shape.to_vec()
    }

    /// The extents of a value of the model.
    pub fn extents(&self, term: &Term) -> Vec<usize> {
        match term {
            Term::Constant(constant) => constant.shape.clone(),
            Term::Pixels(pixels) => permuted_shape(&self.shape(pixels.value), &pixels.order),
            Term::Map(map)
            | Term::Softmax(map)
            | Term::Codes(Codes { source: map, .. })
            | Term::Signum { source: map, .. } => permuted_shape(&self.shape(map.value), &map.order),
            Term::Padded(padded) => {
                let inner = self.extents(&padded.inner);
                inner.iter().zip(&padded.pads).map(|(extent, [before, after])| extent + before + after).collect()
            }
        }
    }

    /// A value as floats.
    pub fn map(&mut self, term: &Term) -> Result<Map> {
        match term {
            Term::Map(map) => Ok(map.clone()),
            Term::Pixels(pixels) => self.image(pixels),
            Term::Constant(_) => Err("an input is a constant where only computed values are read".into()),
            Term::Softmax(_) => Err("a softmax is dropped where it is the last node, and can be nowhere else".into()),
            Term::Codes(codes) => self.code_floats(codes),
            Term::Signum { source, shift } => {
                let codes = self.signum_codes(source)?.through(|x| x + shift);
                self.code_floats(&codes)
            }
            Term::Padded(padded) => {
                if padded.value != 0.0 {
                    return Err(format!(
                        "numbers of {} are put around what no convolution of codes reads",
                        padded.value
                    )
                    .into());
                }
                let mut map = self.map(&padded.inner)?;
                for (place, &[before, after]) in padded.pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
                    let axis = map.order[place];
                    map.value = self.emit(PadAxis { axis, before, after }, &[map.value])?;
                }
                Ok(map)
            }
        }
    }

    /// Codes as numbers of their own: the slow way, for whoever does not multiply bits.
    fn code_floats(&mut self, codes: &Codes) -> Result<Map> {
        let [zero, low, high] = [0.0, codes.low, codes.high].map(|value| Fill { value, shape: Shape::default() });
        let (zero, low, high) = (self.emit(zero, &[])?, self.emit(low, &[])?, self.emit(high, &[])?);
        let x = codes.source.value;
        let value = match codes.holds {
            Threshold::NonNegative => {
                let mask = self.emit(Compare { comparison: Comparison::Less }, &[x, zero])?;
                self.emit(Select {}, &[mask, low, high])?
            }
            Threshold::Positive => {
                let mask = self.emit(Compare { comparison: Comparison::Greater }, &[x, zero])?;
                self.emit(Select {}, &[mask, high, low])?
            }
        };
        Ok(Map { value, order: codes.source.order.clone() })
    }

    /// `Sign(x)` as codes: 1 and 0 of what is never negative, −1 and 0 of what is never positive, else ±1, with +1 for an exact 0, which then is refused
    /// where it is more than chance.
    pub fn signum_codes(&mut self, source: &Map) -> Result<Codes> {
        let range = self.range(source.value);
        let (holds, low, high) = if range.low >= 0.0 {
            (Threshold::Positive, 0.0, 1.0)
        } else if range.high <= 0.0 {
            (Threshold::NonNegative, -1.0, 0.0)
        } else if range.has_zeroes {
            return Err("it needs the Sign of numbers of both signs that are often exactly 0 (behind a Relu, a Clip at 0, \
                        zeroes around a map, or sums of codes), and then Sign has three values where a bit has two: say \
                        which is meant, by Where(Less(x, 0), −1, 1), or Sign(Sign(x) + 0.1)"
                .into());
        } else {
            (Threshold::NonNegative, -1.0, 1.0)
        };
        Ok(Codes { source: source.clone(), holds, low, high })
    }

    /// The bits of codes, packed in groups. A clip that keeps the sign is looked through.
    pub fn bits(&mut self, source: &Map, kind: &CodeKind, groups: usize) -> Result<Value> {
        let mut x = self.channels_last(source)?;
        while let Node { op: Op::Clamp(Clamp { min, max }), inputs, .. } = self.graph.producer(x) {
            if *min >= 0.0 || *max <= 0.0 {
                break;
            }
            x = inputs[0];
        }
        let key = (x, kind.negate, kind.is_step, groups);
        if let Some(&known) = self.bits.get(&key) {
            return Ok(known);
        }
        if kind.negate {
            x = self.emit(Unary { function: UnaryFunction::Neg }, &[x])?;
        }
        let gradient = Surrogate::Identity;
        let bits = if kind.is_step {
            self.emit(Step { gradient, groups }, &[x])?
        } else {
            self.emit(Sign { gradient, groups }, &[x])?
        };
        self.bits.insert(key, bits);
        Ok(bits)
    }

    /// A map whose channels are the model's second axis and our last one.
    pub fn channels_last(&mut self, map: &Map) -> Result<Value> {
        let rank = map.order.len();
        if rank != 4 {
            return Err(format!("a map of rank {rank} stands where images are read").into());
        }
        self.in_order(map, &channels_first(rank))
    }

    /// A value with axes in another order: ours that axis `i` of the model's is axis `order[i]` of.
    pub fn in_order(&mut self, map: &Map, order: &[usize]) -> Result<Value> {
        if map.order == order {
            return Ok(map.value);
        }
        // Axis order[i] of the result is axis map.order[i] of what there is.
        let mut permutation = vec![0; order.len()];
        for (&to, &from) in order.iter().zip(&map.order) {
            permutation[to] = from;
        }
        if permutation.first().is_some_and(|&axis| axis != 0) {
            return Err("the batch is not the first axis".into());
        }
        self.emit(Transpose { permutation }, &[map.value])
    }
}
