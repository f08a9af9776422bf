//! A part of an axis, and its opposite.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{PadAxis, Slice};

use super::{blocks::Blocks, plain};
use crate::io::Kernel;

pub fn prepare(op: &Slice, io: &IoMeta) -> Prepared<Kernel> {
    let (from, to) = (Blocks::around(&io.inputs[0].shape, op.axis), Blocks::around(&io.outputs[0].shape, op.axis));
    let start = op.start * from.inner;
    plain("copy", move |io| {
        let x = io.input::<f32>(0);
        to.for_blocks(io.threads(), io.output(0), |block, y| {
            y.copy_from_slice(&x[block * from.block() + start..][..y.len()]);
        });
    })
}

pub fn prepare_pad(op: &PadAxis, io: &IoMeta) -> Prepared<Kernel> {
    let (from, to) = (Blocks::around(&io.inputs[0].shape, op.axis), Blocks::around(&io.outputs[0].shape, op.axis));
    let start = op.before * from.inner;
    plain("copy", move |io| {
        let x = io.input::<f32>(0);
        to.for_blocks(io.threads(), io.output(0), |block, y| {
            y.fill(0.0);
            y[start..][..from.block()].copy_from_slice(&x[block * from.block()..][..from.block()]);
        });
    })
}
