//! Finding where a number went wrong.

use std::sync::Arc;

use crate::{Backend, ExecError, Memory, Program, Run, Step, Storage};

/// Runs the computing steps again, one by one, and returns the first that yields a number that is not finite. A run that changed no state
/// repeats exactly, so this finds the culprit of a loss that was not finite.
pub fn first_non_finite<'p, B: Backend>(
    backend: &B,
    program: &'p Arc<Program<B::Kernel>>,
    memory: &Memory<B::Buffer>,
    run: &Run,
) -> Result<Option<&'p Step<B::Kernel>>, ExecError> {
    for i in program.compute() {
        backend.run(program, i..i + 1, memory, run)?;
        let step = &program.steps()[i];
        for (address, _) in step.outputs.iter().zip(&step.layouts).filter(|(_, layout)| layout.storage == Storage::F32)
        {
            let mut bytes = vec![0; address.bytes];
            backend.read(memory.region(address.region), *address, &mut bytes);
            let finite = bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite());
            if !finite {
                return Ok(Some(step));
            }
        }
    }
    Ok(None)
}
