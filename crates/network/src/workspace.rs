//! The memory that all programs of a network share while they run.

use binary_nets_exec::{Backend, ExecError};

use crate::loaded::Loaded;

/// One workspace, as large as the largest program needs it.
pub(crate) struct Workspace<B: Backend> {
    pub buffer: B::Buffer,
    pub bytes: usize,
}

impl<B: Backend> Workspace<B> {
    /// An empty one.
    pub fn new(backend: &B) -> Result<Self, ExecError> {
        Ok(Self { buffer: backend.allocate(0)?, bytes: 0 })
    }

    /// Makes it large enough for a program.
    pub fn reserve(&mut self, backend: &B, loaded: &Loaded<B>) -> Result<(), ExecError> {
        let bytes = loaded.workspace_bytes(backend);
        if bytes > self.bytes {
            self.buffer = backend.allocate(bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}
