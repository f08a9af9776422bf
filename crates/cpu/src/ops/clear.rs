//! Setting states to 0.

use binary_nets_exec::Prepared;

use super::{elementwise::CHUNK, plain};
use crate::io::Kernel;

pub fn prepare() -> Prepared<Kernel> {
    plain("plain", |io| io.threads().for_chunks(io.state::<f32>(0), CHUNK, |_, x| x.fill(0.0)))
}
