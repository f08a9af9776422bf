//! One number everywhere.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::Fill;

use super::plain;
use crate::{io::Kernel, target::Target};

/// Each lane fills this many elements at a time.
const CHUNK: usize = 1 << 16;

pub fn prepare(op: &Fill, target: Target) -> Prepared<Kernel> {
    let value = op.value;
    plain(target.isa.name(), move |io| io.threads().for_chunks(io.output(0), CHUNK, |_, y| y.fill(value)))
}
