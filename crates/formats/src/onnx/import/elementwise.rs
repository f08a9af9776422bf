//! Functions of one element, or of two that stand at the same place.

use binary_nets_graph::ops::{
    Arithmetic, ArithmeticFunction, BatchNormInference, Clamp, Prelu, Relu, StateKind, Unary, UnaryFunction,
};
use binary_nets_graph::{Node as GraphNode, Op, Value};

use super::Importer;
use super::constant::{Constant, elements};
use super::fold::stretch;
use super::image::Pixels;
use super::node::{Node, Result};
use super::term::{Map, Term};
use crate::onnx::axes::{inverse, permuted, permuted_shape};

impl Importer {
    /// A sum, difference, product, quotient, minimum or maximum.
    pub fn arithmetic(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Term> {
        let function = match node.proto.op_type.as_str() {
            "Add" => ArithmeticFunction::Add,
            "Sub" => ArithmeticFunction::Sub,
            "Mul" => ArithmeticFunction::Mul,
            "Div" => ArithmeticFunction::Div,
            "Min" => ArithmeticFunction::Min,
            _ => ArithmeticFunction::Max,
        };
        let [Some(a), Some(b)] = inputs else { return Err("it should have two inputs".into()) };
        let commutes = !matches!(function, ArithmeticFunction::Sub | ArithmeticFunction::Div);
        match (a, b) {
            (Term::Constant(constant), x) if commutes => self.with_constant(function, x, constant),
            (Term::Constant(_), x) => {
                let x = self.map(x)?;
                let constant = self.operand(a, &x)?;
                let value = self.emit(Arithmetic { function }, &[constant, x.value])?;
                Ok(Term::Map(Map { value, order: x.order }))
            }
            (x, Term::Constant(constant)) => self.with_constant(function, x, constant),
            (a, b) => {
                let a = self.map(a)?;
                Ok(Term::Map(self.both(function, &a, b)?))
            }
        }
    }

    /// A map and whatever stretches to it.
    pub fn both(&mut self, function: ArithmeticFunction, a: &Map, b: &Term) -> Result<Map> {
        let b = self.operand(b, a)?;
        let value = self.emit(Arithmetic { function }, &[a.value, b])?;
        Ok(Map { value, order: a.order.clone() })
    }

    /// A value in the order of a map, to be computed with it element by element.
    pub fn operand(&mut self, term: &Term, map: &Map) -> Result<Value> {
        if let Term::Constant(constant) = term {
            let (shape, data) = self.placed(constant, map)?;
            return self.state("constant", StateKind::Parameter, &shape, data);
        }
        let other = self.map(term)?;
        if other.order.len() != map.order.len() {
            return Err(format!("values of rank {} and {} meet", map.order.len(), other.order.len()).into());
        }
        self.in_order(&other, &map.order)
    }

    /// A constant that stretches to a map of the model, in the order of our axes, without axes of 1 in front.
    fn placed(&mut self, constant: &Constant, map: &Map) -> Result<(Vec<usize>, Vec<f32>)> {
        let rank = map.order.len();
        let Some(ones) = rank.checked_sub(constant.shape.len()).filter(|_| constant.data.len() > 0) else {
            return Err(format!("a constant {:?} meets a value of rank {rank}", constant.shape).into());
        };
        let shape = [&vec![1; ones][..], &constant.shape].concat();
        let extents = permuted_shape(&self.shape(map.value), &map.order);
        stretch(&shape, &extents)?;
        let order = inverse(&map.order);
        self.budget.spend(&self.path, constant.data.len().saturating_mul(2 * size_of::<f32>()))?;
        let data = permuted(&constant.floats(), &shape, &order);
        let shape = permuted_shape(&shape, &order);
        if shape.first().is_some_and(|&samples| samples != 1) {
            return Err("a constant differs from image to image of a batch".into());
        }
        let first = shape.iter().position(|&extent| extent != 1).unwrap_or(rank);
        Ok((shape[first..].to_vec(), data))
    }

    /// The number that a constant is all over a value, if it is one and stretches to no more than the value.
    pub fn number_over(&self, constant: &Constant, x: &Term) -> Option<f32> {
        let extents = self.extents(x);
        let fits = stretch(&constant.shape, &extents).is_ok_and(|shape| shape == extents);
        constant.number().filter(|_| fits)
    }

    /// A value and a constant.
    fn with_constant(&mut self, function: ArithmeticFunction, x: &Term, constant: &Constant) -> Result<Term> {
        use ArithmeticFunction::{Add, Div, Mul, Sub};
        let apply = |x: f32, number: f32| match function {
            Add => x + number,
            Sub => x - number,
            Mul => x * number,
            Div => x / number,
            ArithmeticFunction::Min => x.min(number),
            ArithmeticFunction::Max => x.max(number),
        };
        match (x, self.number_over(constant, x)) {
            (Term::Codes(codes), Some(number)) => return Ok(Term::Codes(codes.through(|x| apply(x, number)))),
            (Term::Signum { source, shift }, Some(number)) if matches!(function, Add | Sub) => {
                return Ok(Term::Signum { source: source.clone(), shift: apply(*shift, number) });
            }
            (Term::Pixels(pixels), _) if matches!(function, Add | Sub | Mul | Div) => {
                let map = Map { value: pixels.value, order: pixels.order.clone() };
                let (shape, data) = self.placed(constant, &map)?;
                if shape.is_empty() || shape == [pixels.factor.len()] {
                    return Ok(Term::Pixels(normalised(pixels, function, &data)));
                }
            }
            _ => {}
        }
        let map = self.map(x)?;
        let (shape, mut data) = self.placed(constant, &map)?;
        let channels = self.graph.meta(map.value).shape.channels();
        let by_channel = map.order.len() >= 2 && (shape.is_empty() || shape == [channels]);
        let value = match function {
            Add | Sub if by_channel => {
                if function == Sub {
                    for x in &mut data {
                        *x = -*x;
                    }
                }
                self.add(map.value, &shape, data)?
            }
            Mul if by_channel => {
                // Our own files have folded already what was to be folded.
                let apart = self.is_ours && self.is_scaled(map.value);
                let shape = if apart { [&[1], &shape[..]].concat() } else { shape };
                let shape = if apart && shape.len() == 1 { vec![1, 1] } else { shape };
                let constant = self.state("scale", StateKind::Parameter, &shape, data)?;
                self.emit(Arithmetic::MUL, &[map.value, constant])?
            }
            _ => {
                let constant = self.state("constant", StateKind::Parameter, &shape, data)?;
                self.emit(Arithmetic { function }, &[map.value, constant])?
            }
        };
        Ok(Term::Map(Map { value, order: map.order }))
    }

    /// Whether freezing would fold a product behind this value into it.
    fn is_scaled(&self, x: Value) -> bool {
        let node = self.graph.producer(x);
        match &node.op {
            Op::BatchNormInference(_) => true,
            Op::Arithmetic(Arithmetic { function: ArithmeticFunction::Mul }) => self.scale_of(node).is_some(),
            _ => false,
        }
    }

    /// The factor that a product with a constant for each channel has, and what is multiplied.
    pub fn scale_of(&self, node: &GraphNode) -> Option<(Value, Value)> {
        let &[x, scale] = &node.inputs[..] else { return None };
        let is_product = node.op == Op::Arithmetic(Arithmetic::MUL);
        let is_state = matches!(self.graph.producer(scale).op, Op::State(_));
        (is_product && is_state && self.graph.meta(scale).shape.len() <= 1).then_some((x, scale))
    }

    /// One number more for each channel: part of an affine where a scale or a convolution stands before it, else a sum.
    fn add(&mut self, x: Value, shape: &[usize], data: Vec<f32>) -> Result<Value> {
        if let Some(value) = self.ternary_affine(x, &data)? {
            return Ok(value);
        }
        let node = self.graph.producer(x);
        let convolves = matches!(node.op, Op::Conv2d(_) | Op::BinaryConv2d(_) | Op::TernaryConv2d(_));
        if convolves || self.scale_of(node).is_some() {
            return self.shift(x, data);
        }
        let constant = self.state("bias", StateKind::Parameter, shape, data)?;
        self.emit(Arithmetic::ADD, &[x, constant])
    }

    /// What a state holds.
    pub fn held(&self, value: Value) -> Option<&[f32]> {
        match &self.graph.producer(value).op {
            Op::State(state) => self.states.get(&state.path).map(|tensor| &tensor.data[..]),
            _ => None,
        }
    }

    /// A function of one number.
    pub fn unary(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        let Some(Some(x)) = inputs.first() else { return Err("its input is missing".into()) };
        let Map { value: x, order } = self.map(x)?;
        let map = |value| Ok(Map { value, order: order.clone() });
        let function = match node.proto.op_type.as_str() {
            "Relu" => return map(self.emit(Relu {}, &[x])?),
            "Clip" => return map(self.clip(node, inputs, x)?),
            "LeakyRelu" => {
                let slope = vec![node.float("alpha", 0.01)];
                let slope = self.state("slope", StateKind::Parameter, &[1], slope)?;
                return map(self.emit(Prelu {}, &[x, slope])?);
            }
            "PRelu" => {
                let Some(Some(Term::Constant(slope))) = inputs.get(1) else {
                    return Err("its slope depends on the input".into());
                };
                let (shape, data) = self.placed(slope, &Map { value: x, order: order.clone() })?;
                if elements(&shape) != Some(data.len()) || shape.len() > 1 {
                    return Err("its slope should be one number, or one a channel".into());
                }
                let slope = self.state("slope", StateKind::Parameter, &[data.len()], data)?;
                return map(self.emit(Prelu {}, &[x, slope])?);
            }
            "Neg" => UnaryFunction::Neg,
            "Abs" => UnaryFunction::Abs,
            "Exp" => UnaryFunction::Exp,
            "Log" => UnaryFunction::Log,
            "Sqrt" => UnaryFunction::Sqrt,
            _ => UnaryFunction::Tanh,
        };
        map(self.emit(Unary { function }, &[x])?)
    }

    fn clip(&mut self, node: &Node, inputs: &[Option<Term>], x: Value) -> Result<Value> {
        let end = |i: usize, name: &str, default: f32| match inputs.get(i) {
            Some(Some(Term::Constant(end))) => end.scalar().ok_or("each of its bounds should be one number"),
            Some(Some(_)) => Err("its bounds depend on the input"),
            Some(None) | None => Ok(node.float(name, default)),
        };
        let (min, max) = (end(1, "min", f32::MIN)?.max(f32::MIN), end(2, "max", f32::MAX)?.min(f32::MAX));
        if min == 0.0 && max == f32::MAX { self.emit(Relu {}, &[x]) } else { self.emit(Clamp { min, max }, &[x]) }
    }

    /// A norm by its running statistics.
    pub fn batch_norm(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        if node.int("training_mode", 0) != 0 || node.int("spatial", 1) != 1 {
            return Err("it is not in the mode of inference".into());
        }
        if node.proto.output.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("it has more than one output, so it is in the mode of training".into());
        }
        let [Some(x), parts @ ..] = inputs else { return Err("its input is missing".into()) };
        let map = self.map(x)?;
        let mut values = vec![match map.order.len() {
            2 => self.in_order(&map, &[0, 1])?,
            _ => self.channels_last(&map)?,
        }];
        let order = crate::onnx::axes::channels_first(map.order.len());
        for (i, part) in ["gamma", "beta", "mean", "variance"].into_iter().enumerate() {
            let Some(Some(Term::Constant(constant))) = parts.get(i) else {
                return Err(format!("its {part} is no constant").into());
            };
            let data = constant.floats();
            self.budget.spend(&self.path, data.len().saturating_mul(size_of::<f32>()))?;
            let value = self.state(part, StateKind::Parameter, &[data.len()], data)?;
            values.push(value);
        }
        let eps = f64::from(node.float("epsilon", 1e-5));
        Ok(Map { value: self.emit(BatchNormInference { eps }, &values)?, order })
    }
}

/// Pixels with one more number for all channels or each.
fn normalised(pixels: &Pixels, function: ArithmeticFunction, numbers: &[f32]) -> Pixels {
    let mut pixels = pixels.clone();
    for channel in 0..pixels.factor.len() {
        let number = f64::from(numbers[if numbers.len() == 1 { 0 } else { channel }]);
        let (factor, offset) = (&mut pixels.factor[channel], &mut pixels.offset[channel]);
        match function {
            ArithmeticFunction::Add => *offset += number,
            ArithmeticFunction::Sub => *offset -= number,
            ArithmeticFunction::Mul => (*factor, *offset) = (*factor * number, *offset * number),
            _ => (*factor, *offset) = (*factor / number, *offset / number),
        }
    }
    pixels
}
