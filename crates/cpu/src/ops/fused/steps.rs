//! What happens to a few rows of a map in the nearest cache.

use binary_nets_graph::ops::{ArithmeticFunction, Extent};
use binary_nets_kernels::Isa;

use crate::io::Inputs;
use crate::ops::arithmetic::{max, min};
use crate::ops::elementwise::{block, blocks};
use crate::ops::prelu::prelu;
use crate::ops::relu::relu;
use crate::ops::{affine, elementwise};

/// Where the second operand of a step is; a number is the number of an input.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// An input.
    Input(usize, Extent),
    /// The rows beside.
    Beside,
}

/// An element-wise change of the rows.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Puts an input, a map, in their place.
    Load(usize),
    Relu,
    Clamp {
        min: f32,
        max: f32,
    },
    /// The slope.
    Prelu(usize, Extent),
    /// `fl(fl(a·x) + c)`, and then perhaps the rectifier.
    Affine {
        a: usize,
        c: usize,
        relu: bool,
    },
    /// A sum, and then the rectifier.
    AddRelu(Operand),
    /// The operand is the left one if it is flipped.
    Arithmetic {
        function: ArithmeticFunction,
        operand: Operand,
        flipped: bool,
    },
}

/// A change, and of which rows.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub change: Change,
    /// Of those beside, which another step reads as its operand.
    pub beside: bool,
}

/// Where the rows are in their map.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub inputs: &'a Inputs<'a>,
    /// The first pixel.
    pub pixel: usize,
    pub channels: usize,
}

impl<'a> Place<'a> {
    /// The part of a map that belongs to rows of that many elements.
    #[inline(always)]
    pub fn of_map(self, input: usize, len: usize) -> &'a [f32] {
        &self.inputs.get(input)[self.pixel * self.channels..][..len]
    }

    /// `y = f(y, operand)`
    #[inline(always)]
    fn zip(self, y: &mut [f32], (input, extent): (usize, Extent), f: impl Fn(f32, f32) -> f32) {
        match extent {
            Extent::Number => {
                let b = self.inputs.get::<f32>(input)[0];
                for y in y {
                    *y = f(*y, b);
                }
            }
            Extent::Row => {
                let b = self.inputs.get::<f32>(input);
                for y in y.chunks_exact_mut(self.channels) {
                    zip(y, b, &f);
                }
            }
            Extent::Map => zip(y, self.of_map(input, y.len()), f),
        }
    }
}

/// Changes the rows `y`, or those beside, by one step after the other. Code of its own, as there would be a copy of it for every source of rows.
#[inline(never)]
pub fn run(isa: Isa, steps: &[Step], place: Place<'_>, y: &mut [f32], beside: &mut [f32]) {
    isa.vectorize(
        #[inline(always)]
        || {
            // Not `for_each`: its closure would be compiled without these features.
            for step in steps {
                step.run(place, y, beside);
            }
        },
    );
}

#[inline(always)]
fn zip(y: &mut [f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
    let ((y, y_rest), (b, b_rest)) = (y.as_chunks_mut(), blocks(b));
    for (y, b) in y.iter_mut().zip(b) {
        *y = block(|i| f(y[i], b[i]));
    }
    for (y, &b) in y_rest.iter_mut().zip(b_rest) {
        *y = f(*y, b);
    }
}

impl Step {
    /// The map that it adds to the rows, and whether it rectifies the sum, if that is what it does.
    pub fn sum(&self) -> Option<(usize, bool)> {
        match *self {
            Self { change: Change::AddRelu(Operand::Input(map, Extent::Map)), beside: false } => Some((map, true)),
            Self {
                change:
                    Change::Arithmetic {
                        function: ArithmeticFunction::Add, operand: Operand::Input(map, Extent::Map), ..
                    },
                beside: false,
            } => Some((map, false)),
            _ => None,
        }
    }

    #[inline(always)]
    fn run(&self, place: Place<'_>, y: &mut [f32], beside: &mut [f32]) {
        if self.beside { self.change.run(place, beside, y) } else { self.change.run(place, y, beside) }
    }
}

impl Change {
    /// Whether it reads an input.
    pub const fn reads(&self, input: usize) -> bool {
        match *self {
            Self::Load(map) | Self::Prelu(map, _) => map == input,
            Self::Affine { a, c, .. } => a == input || c == input,
            Self::AddRelu(operand) | Self::Arithmetic { operand, .. } => {
                matches!(operand, Operand::Input(map, _) if map == input)
            }
            Self::Relu | Self::Clamp { .. } => false,
        }
    }

    /// Whether its second operand is the rows beside.
    pub const fn reads_beside(&self) -> bool {
        matches!(self, Self::AddRelu(Operand::Beside) | Self::Arithmetic { operand: Operand::Beside, .. })
    }

    #[inline(always)]
    fn run(&self, place: Place<'_>, y: &mut [f32], beside: &[f32]) {
        match *self {
            Self::Load(input) => y.copy_from_slice(place.of_map(input, y.len())),
            Self::Relu => y.iter_mut().for_each(|y| *y = relu(*y)),
            Self::Clamp { min, max } => y.iter_mut().for_each(|y| *y = elementwise::clamp(*y, min, max)),
            Self::Prelu(slope, extent) => place.zip(y, (slope, extent), prelu),
            Self::Affine { a, c, relu: false } => place.affine(y, a, c, |y| y),
            Self::Affine { a, c, relu: true } => place.affine(y, a, c, relu),
            Self::AddRelu(operand) => place.combine(y, operand, beside, |y, b| relu(y + b)),
            Self::Arithmetic { function, operand, flipped } => match (function, flipped) {
                (ArithmeticFunction::Add, _) => place.combine(y, operand, beside, |y, b| y + b),
                (ArithmeticFunction::Mul, _) => place.combine(y, operand, beside, |y, b| y * b),
                (ArithmeticFunction::Sub, false) => place.combine(y, operand, beside, |y, b| y - b),
                (ArithmeticFunction::Sub, true) => place.combine(y, operand, beside, |y, b| b - y),
                (ArithmeticFunction::Div, false) => place.combine(y, operand, beside, |y, b| y / b),
                (ArithmeticFunction::Div, true) => place.combine(y, operand, beside, |y, b| b / y),
                (ArithmeticFunction::Min, false) => place.combine(y, operand, beside, min),
                (ArithmeticFunction::Min, true) => place.combine(y, operand, beside, |y, b| min(b, y)),
                (ArithmeticFunction::Max, false) => place.combine(y, operand, beside, max),
                (ArithmeticFunction::Max, true) => place.combine(y, operand, beside, |y, b| max(b, y)),
            },
        }
    }
}

impl Place<'_> {
    #[inline(always)]
    fn combine(self, y: &mut [f32], operand: Operand, beside: &[f32], f: impl Fn(f32, f32) -> f32) {
        match operand {
            Operand::Input(input, extent) => self.zip(y, (input, extent), f),
            Operand::Beside => zip(y, beside, f),
        }
    }

    #[inline(always)]
    fn affine(self, y: &mut [f32], a: usize, c: usize, f: impl Fn(f32) -> f32) {
        let [a, c] = [a, c].map(|i| self.inputs.get::<f32>(i));
        for y in y.chunks_exact_mut(self.channels) {
            affine::row_in_place(y, a, c, &f);
        }
    }
}
