//! Picking one element of an axis by an index.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Gather, Scatter};

use super::{blocks::Blocks, plain};
use crate::io::Kernel;

pub fn prepare(op: &Gather, io: &IoMeta) -> Prepared<Kernel> {
    let from = Blocks::around(&io.inputs[0].shape, op.axis);
    let to = Blocks { extent: 1, inner: from.inner };
    plain("plain", move |io| {
        let (x, index) = (io.input::<f32>(0), io.input::<u32>(1));
        to.for_blocks(io.threads(), io.output(0), |block, y| {
            let (x, index) = (&x[block * from.block()..][..from.block()], &index[block * to.block()..]);
            for (i, (y, &index)) in y.iter_mut().zip(index).enumerate() {
                *y = x[index as usize * from.inner + i];
            }
        });
    })
}

pub fn prepare_scatter(op: &Scatter, io: &IoMeta) -> Prepared<Kernel> {
    let to = Blocks::around(&io.outputs[0].shape, op.axis);
    plain("plain", move |io| {
        let (index, dy) = (io.input::<u32>(0), io.input::<f32>(1));
        to.for_blocks(io.threads(), io.output(0), |block, dx| {
            dx.fill(0.0);
            let from = block * to.inner..(block + 1) * to.inner;
            for (i, (&index, dy)) in index[from.clone()].iter().zip(&dy[from]).enumerate() {
                dx[index as usize * to.inner + i] = *dy;
            }
        });
    })
}
