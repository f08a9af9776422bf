//! Between which numbers a value lies, and whether it is exactly 0 more often than by chance: ONNX's `Sign` has three values, a bit has two.

use binary_nets_graph::ops::{
    Arithmetic, ArithmeticFunction, Clamp, Fill, NormalizeImage, Reduce, Reduction, Unary, UnaryFunction,
};
use binary_nets_graph::{Node, Op, Value};

use super::Importer;

/// How far sums may be off by rounding, relative to their terms, where another runtime rounds otherwise.
const ROUNDING: f64 = 1e-6;

/// What the ops behind a value say of all its elements.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// None is below.
    pub low: f32,
    /// None is above.
    pub high: f32,
    /// Whether many are exactly 0: cut off there, put around a map, sums of codes, or made of such.
    pub has_zeroes: bool,
}

impl Range {
    const ANY: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY, has_zeroes: false };
    const NONE: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY, has_zeroes: false };
    const ZERO: Self = Self { low: 0.0, high: 0.0, has_zeroes: true };

    fn of(numbers: &[f32]) -> Self {
        numbers.iter().map(|&x| Self { low: x, high: x, has_zeroes: x == 0.0 }).fold(Self::NONE, Self::or)
    }

    /// Of elements some of which are of one range, others of the other.
    fn or(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            has_zeroes: self.has_zeroes || other.has_zeroes,
        }
    }

    /// Of a function that never falls, and is 0 at 0.
    fn through(self, f: impl Fn(f32) -> f32) -> Self {
        Self { low: f(self.low), high: f(self.high), ..self }
    }

    /// Of a function that is monotone in both. 0·∞ stands for products of finite numbers.
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let [a, b] = [[self.low, self.high], [other.low, other.high]];
        let ends =
            [f(a[0], b[0]), f(a[0], b[1]), f(a[1], b[0]), f(a[1], b[1])].map(|x| if x.is_nan() { 0.0 } else { x });
        Self { has_zeroes: self.has_zeroes, ..Self::of(&ends) }
    }

    fn times(self, other: Self) -> Self {
        Self { has_zeroes: self.has_zeroes || other.has_zeroes, ..self.with(other, |a, b| a * b) }
    }

    /// Of a sum of one or more.
    fn summed(self) -> Self {
        Self {
            low: if self.low < 0.0 { f32::NEG_INFINITY } else { self.low },
            high: if self.high > 0.0 { f32::INFINITY } else { self.high },
            ..self
        }
    }

    fn rectified(self) -> Self {
        Self { has_zeroes: self.has_zeroes || self.low < 0.0, ..self.through(|x| x.max(0.0)) }
    }

    fn clamped(self, min: f32, max: f32) -> Self {
        let is_cut = (min == 0.0 && self.low < 0.0) || (max == 0.0 && self.high > 0.0);
        let keeps_zeroes = self.has_zeroes && min <= 0.0 && max >= 0.0;
        Self { has_zeroes: is_cut || keeps_zeroes, ..self.through(|x| x.max(min).min(max)) }
    }

    fn arithmetic(self, function: ArithmeticFunction, other: Self) -> Self {
        let both = self.has_zeroes && other.has_zeroes;
        match function {
            ArithmeticFunction::Add => Self { has_zeroes: both, ..self.with(other, |a, b| a + b) },
            ArithmeticFunction::Sub => Self { has_zeroes: both, ..self.with(other, |a, b| a - b) },
            ArithmeticFunction::Mul => self.times(other),
            ArithmeticFunction::Div if other.low > 0.0 => self.with(other, |a, b| a / b),
            ArithmeticFunction::Div => Self { has_zeroes: self.has_zeroes, ..Self::ANY },
            ArithmeticFunction::Min => {
                Self { low: self.low.min(other.low), high: self.high.min(other.high), ..self.or(other) }
            }
            ArithmeticFunction::Max => {
                Self { low: self.low.max(other.low), high: self.high.max(other.high), ..self.or(other) }
            }
        }
    }

    fn unary(self, function: UnaryFunction) -> Self {
        match function {
            UnaryFunction::Neg => Self { low: -self.high, high: -self.low, ..self },
            UnaryFunction::Abs => {
                Self { low: self.low.max(-self.high).max(0.0), high: self.high.max(-self.low), ..self }
            }
            UnaryFunction::Exp | UnaryFunction::PowerOfTwo => Self { low: 0.0, ..Self::ANY },
            UnaryFunction::Log => Self::ANY,
            UnaryFunction::Sqrt => self.through(|x| x.max(0.0).sqrt()),
            UnaryFunction::Tanh => self.through(f32::tanh),
        }
    }

    fn prelu(self, slope: Self) -> Self {
        let positive = self.through(|x| x.max(0.0));
        if self.low < 0.0 { positive.or(self.through(|x| x.min(0.0)).times(slope)) } else { positive }
    }

    fn normalized(NormalizeImage { mean, std }: &NormalizeImage) -> Self {
        let channel = |(mean, std): (&f64, &f64)| {
            let pixel = 255.0 * mean;
            let is_pixel = (0.0..=255.0).contains(&pixel) && (pixel - pixel.round()).abs() < 255.0 * ROUNDING;
            Self { low: (-mean / std) as f32, high: ((1.0 - mean) / std) as f32, has_zeroes: is_pixel }
        };
        mean.iter().zip(std).map(channel).fold(Self::NONE, Self::or)
    }
}

impl Importer {
    /// Between which numbers a value lies. What has been found is kept, so that all values together cost one look at each.
    pub fn range(&mut self, value: Value) -> Range {
        for next in self.graph.values().skip(self.ranges.len()) {
            let range = self.range_made_by(self.graph.producer(next));
            self.ranges.push(range);
        }
        self.ranges[value.index()]
    }

    fn range_made_by(&self, node: &Node) -> Range {
        let input = |i: usize| self.ranges[node.inputs[i].index()];
        let product = |is_padded: bool| {
            let (x, w) = (input(0), input(1));
            let seen = if is_padded { x.or(Range::ZERO) } else { x };
            Range { has_zeroes: x.has_zeroes, ..seen.times(w).summed() }
        };
        match &node.op {
            Op::State(_) => self.held(node.outputs[0]).map_or(Range::ANY, Range::of),
            Op::Fill(Fill { value, .. }) => Range::of(&[*value]),
            Op::NormalizeImage(op) => Range::normalized(op),
            Op::Relu(_) => input(0).rectified(),
            Op::Clamp(Clamp { min, max }) => input(0).clamped(*min, *max),
            Op::Prelu(_) => input(0).prelu(input(1)),
            Op::Unary(Unary { function }) => input(0).unary(*function),
            Op::Arithmetic(Arithmetic { function }) => {
                let range = input(0).arithmetic(*function, input(1));
                let [a, b] = [node.inputs[0], node.inputs[1]];
                match function {
                    ArithmeticFunction::Mul if a == b => Range { low: range.low.max(0.0), ..range },
                    // x − Relu(x), where every second element is 0.
                    ArithmeticFunction::Add | ArithmeticFunction::Sub if self.root(a) == self.root(b) => {
                        Range { has_zeroes: true, ..range }
                    }
                    _ => range,
                }
            }
            Op::BatchNormInference(op) => self.range_of_norm(input(0), &node.inputs[1..], op.eps),
            Op::MaxPool2d(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Repeat(_)
            | Op::BroadcastTo(_)
            | Op::StopGradient(_)
            | Op::Reduce(Reduce { reduction: Reduction::Mean | Reduction::Max, .. }) => input(0),
            Op::Reduce(Reduce { reduction: Reduction::Sum, .. }) => input(0).summed(),
            Op::AvgPool2d(pool) if pool.window.padding == [0, 0] => input(0),
            Op::AvgPool2d(_) => Range { has_zeroes: input(0).has_zeroes, ..input(0).or(Range::ZERO) },
            Op::PadAxis(_) => input(0).or(Range::ZERO),
            Op::Concat(_) => (0..node.inputs.len()).map(input).fold(Range::NONE, Range::or),
            Op::Select(_) => input(1).or(input(2)),
            Op::Compare(_) => Range { low: 0.0, high: 1.0, has_zeroes: true },
            Op::Conv2d(conv) => product(conv.window.padding != [0, 0]),
            Op::Matmul(_) => product(false),
            // As many codes may be of one sign as of the other.
            Op::BinaryConv2d(_) | Op::TernaryConv2d(_) => Range { has_zeroes: true, ..Range::ANY },
            _ => Range::ANY,
        }
    }

    /// What a value is a function of, element by element.
    fn root(&self, mut value: Value) -> Value {
        loop {
            let node = self.graph.producer(value);
            let is_state = |i: usize| matches!(self.graph.producer(node.inputs[i]).op, Op::State(_));
            value = match &node.op {
                Op::Relu(_) | Op::Clamp(_) | Op::Prelu(_) | Op::Unary(_) => node.inputs[0],
                Op::Arithmetic(_) if is_state(1) => node.inputs[0],
                Op::Arithmetic(_) if is_state(0) => node.inputs[1],
                _ => return value,
            };
        }
    }

    /// Of `γ·(x − mean)/√(variance + ε) + β`, with room for how others round it.
    fn range_of_norm(&self, x: Range, parts: &[Value], eps: f64) -> Range {
        let held: Option<Vec<&[f32]>> = parts.iter().map(|&part| self.held(part)).collect();
        let Some(&[gamma, beta, mean, variance]) = held.as_deref() else { return Range::ANY };
        let mut range = Range::NONE;
        for channel in 0..gamma.len() {
            let [gamma, beta, mean, variance] = [gamma, beta, mean, variance].map(|part| f64::from(part[channel]));
            let factor = gamma / (variance + eps).sqrt();
            if !factor.is_finite() {
                return Range::ANY;
            }
            if factor == 0.0 {
                range = range.or(Range::of(&[beta as f32]));
                continue;
            }
            let at = |x: f64| {
                (factor * (x - mean) + beta, ROUNDING * ((factor * x).abs() + (factor * mean).abs() + beta.abs()))
            };
            for end in [x.low, x.high] {
                let (y, room) = at(end.into());
                let (low, high) = if y.is_finite() { (y - room, y + room) } else { (y, y) };
                range = Range { low: range.low.min(low as f32), high: range.high.max(high as f32), ..range };
            }
            let (at_zero, room) = at(0.0);
            range.has_zeroes |= x.has_zeroes && at_zero.abs() <= room;
        }
        range
    }
}
