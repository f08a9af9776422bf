//! Reordering axes.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::Transpose;

use super::{plain, stretch::Stretch};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Transpose, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, walk) = (target.isa, Stretch::permuted(&io.inputs[0].shape, &op.permutation));
    plain(isa.name(), move |io| {
        let (x, (_, [stride])) = (io.input::<f32>(0), walk.inner());
        walk.for_pieces(isa, io.threads(), io.output(0), |[i], y| match stride {
            1 => y.copy_from_slice(&x[i..][..y.len()]),
            _ => y.iter_mut().enumerate().for_each(|(k, y)| *y = x[i + k * stride]),
        });
    })
}
