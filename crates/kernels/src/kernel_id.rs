//! What every listed kernel has: a name, and an instruction set.

use crate::vector::Token;
use crate::{Isa, KernelError};

/// The name of a kernel and the instruction set that it is for.
#[derive(Clone, Copy, Debug)]
pub struct KernelId {
    name: &'static str,
    isa_name: &'static str,
    detect: fn() -> Option<Isa>,
}

impl KernelId {
    pub(crate) const fn of<S: Token>(name: &'static str) -> Self {
        Self { name, isa_name: S::NAME, detect: || S::detect().map(S::isa) }
    }

    /// What it computes, its tile, and the instruction set: `gemm_6x64_avx512`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The instruction set it needs.
    pub fn isa_name(&self) -> &'static str {
        self.isa_name
    }

    /// The instruction set it runs on, if this machine has it.
    pub fn isa(&self) -> Option<Isa> {
        (self.detect)()
    }

    /// The same; fails with [`KernelError::Unavailable`] where this machine lacks it.
    pub(crate) fn available(&self) -> Result<Isa, KernelError> {
        self.isa().ok_or(KernelError::Unavailable { kernel: self.name, isa: self.isa_name })
    }

    pub(crate) fn is_for(&self, isa: Isa) -> bool {
        self.isa_name == isa.name()
    }
}

/// Runs what a kernel does as code of the instruction set that it was chosen for.
#[inline(always)]
pub(crate) fn run_on<S: Token>(isa: Isa, work: impl FnOnce(S)) {
    let token = S::of(isa).expect("a kernel is bound to its own instruction set");
    token.vectorize(
        #[inline(always)]
        || work(token),
    );
}
