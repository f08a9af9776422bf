//! A choice as a row of zeroes and a one.

use binary_nets_exec::{IoMeta, Prepared};

use super::elementwise::CHUNK;
use super::plain;
use crate::io::Kernel;

/// The kernel of [`binary_nets_graph::ops::OneHot`].
pub fn prepare(io: &IoMeta) -> Prepared<Kernel> {
    let classes = io.outputs[0].shape.channels();
    let rows = (CHUNK / classes.max(1)).max(1);
    plain("plain", move |io| {
        let label = io.input::<u32>(0);
        io.threads().for_chunks(io.output::<f32>(0), rows * classes, |i, y| {
            y.fill(0.0);
            for (y, &label) in y.chunks_exact_mut(classes).zip(&label[i * rows..]) {
                y[label as usize] = 1.0;
            }
        });
    })
}
