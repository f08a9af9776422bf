//! Writing states.

use binary_nets_exec::Prepared;

use super::{
    elementwise::{CHUNK, copy},
    plain,
};
use crate::io::Kernel;

pub fn prepare() -> Prepared<Kernel> {
    plain("plain", |io| copy(io.threads(), io.state(0), io.input(1)))
}

/// The kernel of [`binary_nets_graph::ops::Clear`].
pub fn prepare_clear() -> Prepared<Kernel> {
    plain("plain", |io| io.threads().for_chunks(io.state::<f32>(0), CHUNK, |_, x| x.fill(0.0)))
}
