//! Where the time goes.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::{Backend, ExecError, Memory, Program, Run};

/// The time of one step of a program.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StepTime {
    /// The op's name.
    pub op: &'static str,
    /// The path of the layer.
    pub path: String,
    /// The name of the kernel that was chosen.
    pub kernel: &'static str,
    /// The shortest time of several runs, less what a run of no step takes.
    pub seconds: f64,
}

/// Runs the steps one by one, in order and `repeats` times over, and times each. Inputs must have been written. Steps that update do so: whoever wants to keep the states
/// gives a copy.
pub fn profile<B: Backend>(
    backend: &B,
    program: &Arc<Program<B::Kernel>>,
    memory: &Memory<B::Buffer>,
    run: &Run,
    repeats: NonZero<usize>,
) -> Result<Vec<StepTime>, ExecError> {
    let time = |best: &mut f64, steps| {
        let start = Instant::now();
        backend.run(program, steps, memory, run)?;
        *best = best.min(start.elapsed().as_secs_f64());
        Ok(())
    };
    let mut best = vec![f64::INFINITY; program.steps().len()];
    let mut nothing = f64::INFINITY;
    for _ in 0..repeats.get() {
        for (i, best) in best.iter_mut().enumerate() {
            time(&mut nothing, 0..0)?;
            time(best, i..i + 1)?;
        }
    }
    let times = program.steps().iter().zip(best).map(|(step, seconds)| StepTime {
        op: step.op,
        path: step.path.clone(),
        kernel: step.kernel_name,
        seconds: (seconds - nothing).max(0.0),
    });
    Ok(times.collect())
}
