//! A tensor several times over.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::Repeat;

use super::{blocks::Blocks, plain, stretch::Stretch};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Repeat, io: &IoMeta) -> Prepared<Kernel> {
    let from = Blocks::around(&io.inputs[0].shape, op.axis).block();
    let to = Blocks::around(&io.outputs[0].shape, op.axis);
    plain("copy", move |io| {
        let x = io.input::<f32>(0);
        to.for_blocks(io.threads(), io.output(0), |block, y| {
            y.chunks_exact_mut(from).for_each(|y| y.copy_from_slice(&x[block * from..][..from]));
        });
    })
}

/// The kernel of [`binary_nets_graph::ops::BroadcastTo`].
pub fn prepare_broadcast(io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, stretch) = (target.isa, Stretch::new(&io.outputs[0].shape, [&io.inputs[0].shape], false));
    plain(isa.name(), move |io| {
        let (x, (_, [stride])) = (io.input::<f32>(0), stretch.inner());
        stretch.for_pieces(isa, io.threads(), io.output(0), |[i], y| match stride {
            0 => y.fill(x[i]),
            _ => y.copy_from_slice(&x[i..][..y.len()]),
        });
    })
}
