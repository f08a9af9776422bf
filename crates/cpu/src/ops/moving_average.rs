//! Averages that follow what is trained.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::MovingAverage;

use super::{
    elementwise::{CHUNK, part},
    plain,
};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &MovingAverage, target: Target) -> Prepared<Kernel> {
    let (isa, rest) = (target.isa, (1.0 - op.decay) as f32);
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(1);
        io.threads().for_chunks(io.state::<f32>(0), CHUNK, |i, average| {
            let x = part(x, i, average.len());
            isa.vectorize(
                #[inline(always)]
                || average.iter_mut().zip(x).for_each(|(average, &x)| *average += rest * (x - *average)),
            );
        });
    })
}
