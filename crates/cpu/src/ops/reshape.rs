//! The same elements in other extents, or under another name.

use binary_nets_exec::Prepared;

use super::{elementwise, in_place, plain};
use crate::io::Kernel;

/// A copy, or nothing where the elements are in place already; it serves [`binary_nets_graph::ops::StopGradient`] too.
pub fn prepare() -> Prepared<Kernel> {
    let kernel = plain("copy", |io| {
        if let Some(x) = io.unless_replaced(0) {
            elementwise::copy(io.threads(), io.output(0), x);
        }
    });
    in_place(&[0], kernel)
}
