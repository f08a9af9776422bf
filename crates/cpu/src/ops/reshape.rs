//! The same elements in other extents, or under another name.

use binary_nets_exec::Prepared;

use super::{elementwise, plain};
use crate::io::Kernel;

/// A copy, which serves [`binary_nets_graph::ops::StopGradient`] too.
pub fn prepare() -> Prepared<Kernel> {
    plain("copy", |io| elementwise::copy(io.threads(), io.output(0), io.input(0)))
}
