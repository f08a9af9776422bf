//! Where the time of a training step goes.

use std::num::NonZero;

use binary_nets_exec::{Backend, Memory, StepTime, profile};
use serde::Serialize;

use crate::{Network, NetworkError};

/// An op of a training step.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OpTime {
    /// Its part of the step.
    pub part: Part,
    /// What ran, and how long.
    #[serde(flatten)]
    pub time: StepTime,
}

/// The parts of a training step, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Up to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// What writes parameters, moments and running statistics.
    Update,
}

impl<B: Backend> Network<B> {
    /// The times of the compiled step's ops, each the best of `repeats` runs, on the batch of the last update; on zeros where there was none. They run on a copy of the states,
    /// so nothing changes.
    pub fn profile_step(&mut self, repeats: NonZero<usize>) -> Result<Vec<OpTime>, NetworkError> {
        let (loaded, run) = (self.trainer()?.step(true), self.run_info());
        let memory = Memory { state: self.copy_states(&self.states)?, ..loaded.memory(&self.state, &self.workspace) };
        let program = &loaded.program;
        let times = profile(&self.backend, program, &memory, &run, repeats)?;
        let loss = program.writer_of("loss");
        let part = |i| match loss {
            _ if program.update().contains(&i) => Part::Update,
            Some(loss) if i > loss => Part::Backward,
            _ => Part::Forward,
        };
        Ok(times.into_iter().enumerate().map(|(i, time)| OpTime { part: part(i), time }).collect())
    }
}
