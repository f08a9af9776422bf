//! Where the time of a training step goes.

use std::num::NonZero;

use binary_nets_exec::{Backend, StepTime, profile};

use crate::{NamedTensors, Network, NetworkError};

impl<B: Backend> Network<B> {
    /// The times of the compiled training step's ops, each the best of `repeats` runs, on tensors of a batch: forward, loss and backward, but
    /// not the updates, so nothing changes.
    pub fn profile_step(
        &mut self,
        tensors: &NamedTensors,
        scalars: &[(&str, f32)],
        repeats: NonZero<usize>,
    ) -> Result<Vec<StepTime>, NetworkError> {
        self.write_step(true, tensors, scalars)?;
        let (loaded, run) = (self.trainer()?.step(true), self.run_info());
        let memory = loaded.memory(&self.state, &self.workspace);
        Ok(profile(&self.backend, &loaded.program, &memory, &run, repeats)?)
    }
}
