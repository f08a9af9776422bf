//! The rectifier with a learned slope.

use binary_nets_exec::{IoMeta, Prepared};

use super::{arithmetic, in_place, plain, stretch::Stretch};
use crate::{io::Kernel, target::Target};

/// The kernel of [`binary_nets_graph::ops::Prelu`].
pub fn prepare(io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    let stretch = Stretch::new(&io.outputs[0].shape, [&io.inputs[0].shape, &io.inputs[1].shape], false);
    in_place(&[0], plain(isa.name(), move |io| arithmetic::run(isa, &stretch, io, prelu)))
}

/// x where it is above 0, else `slope·x`.
#[inline(always)]
pub fn prelu(x: f32, slope: f32) -> f32 {
    let negative = slope * x;
    if x > 0.0 { x } else { negative }
}
