//! Tensors side by side.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::Concat;

use super::{blocks::Blocks, plain};
use crate::io::Kernel;

pub fn prepare(op: &Concat, io: &IoMeta) -> Prepared<Kernel> {
    let parts: Vec<usize> = io.inputs.iter().map(|x| Blocks::around(&x.shape, op.axis).block()).collect();
    let to = Blocks::around(&io.outputs[0].shape, op.axis);
    plain("copy", move |io| {
        let (y, mut start) = (io.output::<f32>(0), 0);
        for (i, &part) in parts.iter().enumerate() {
            let x = io.input::<f32>(i);
            to.for_blocks(io.threads(), y, |block, y| y[start..][..part].copy_from_slice(&x[block * part..][..part]));
            start += part;
        }
    })
}
