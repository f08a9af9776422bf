//! Element-wise ops of two operands.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Arithmetic, ArithmeticFunction};
use binary_nets_kernels::Isa;

use super::{in_place, plain, stretch::Stretch};
use crate::io::{Io, Kernel};
use crate::target::Target;

pub fn prepare(op: &Arithmetic, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, function) = (target.isa, op.function);
    let stretch = Stretch::new(&io.outputs[0].shape, [&io.inputs[0].shape, &io.inputs[1].shape], false);
    let kernel = plain(isa.name(), move |io| match function {
        ArithmeticFunction::Add => run(isa, &stretch, io, |a, b| a + b),
        ArithmeticFunction::Sub => run(isa, &stretch, io, |a, b| a - b),
        ArithmeticFunction::Mul => run(isa, &stretch, io, |a, b| a * b),
        ArithmeticFunction::Div => run(isa, &stretch, io, |a, b| a / b),
        ArithmeticFunction::Min => run(isa, &stretch, io, min),
        ArithmeticFunction::Max => run(isa, &stretch, io, max),
    });
    in_place(&[0, 1], kernel)
}

/// As the masks of its gradient compare.
#[inline(always)]
pub fn min(a: f32, b: f32) -> f32 {
    if a <= b { a } else { b }
}

/// As the masks of its gradient compare.
#[inline(always)]
pub fn max(a: f32, b: f32) -> f32 {
    if a >= b { a } else { b }
}

/// `y = f(a, b)` with both operands stretched. One that y replaces has y's size, and so its elements where y has them.
pub fn run(isa: Isa, stretch: &Stretch<2>, io: &Io<'_>, f: impl Fn(f32, f32) -> f32 + Sync) {
    let (a, b) = (io.unless_replaced::<f32>(0), io.unless_replaced::<f32>(1));
    let (_, strides) = stretch.inner();
    stretch.for_pieces(
        isa,
        io.threads(),
        io.output(0),
        #[inline(always)]
        |[i, j], y| match (a, b, strides) {
            (None, Some(b), [_, 0]) => y.iter_mut().for_each(|y| *y = f(*y, b[j])),
            (None, Some(b), _) => y.iter_mut().zip(&b[j..]).for_each(|(y, &b)| *y = f(*y, b)),
            (Some(a), None, [0, _]) => y.iter_mut().for_each(|y| *y = f(a[i], *y)),
            (Some(a), None, _) => y.iter_mut().zip(&a[i..]).for_each(|(y, &a)| *y = f(a, *y)),
            (Some(a), Some(b), [0, 0]) => y.fill(f(a[i], b[j])),
            (Some(a), Some(b), [0, _]) => y.iter_mut().zip(&b[j..]).for_each(|(y, &b)| *y = f(a[i], b)),
            (Some(a), Some(b), [_, 0]) => y.iter_mut().zip(&a[i..]).for_each(|(y, &a)| *y = f(a, b[j])),
            (Some(a), Some(b), _) => {
                y.iter_mut().zip(&a[i..]).zip(&b[j..]).for_each(|((y, &a), &b)| *y = f(a, b));
            }
            (None, None, _) => unreachable!("y replaces one operand"),
        },
    );
}
