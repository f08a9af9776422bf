//! What kernels are prepared for.

use binary_nets_kernels::Isa;

/// The part of a processor that the choice of a kernel and of its workspace depends on.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The instruction set to use.
    pub isa: Isa,
    /// The most lanes of a run, each of which needs workspace.
    pub threads: usize,
}
