//! A program with the memory that is its own.

use std::sync::Arc;

use binary_nets_exec::{Backend, Binding, ExecError, Memory, Program, Run};

use crate::tensor::{TensorView, to_numbers};
use crate::workspace::Workspace;
use crate::{NamedTensors, NetworkError, Prediction};

/// A program with its batch and output regions.
pub(crate) struct Loaded<B: Backend> {
    pub program: Arc<Program<B::Kernel>>,
    batch: B::Buffer,
    output: B::Buffer,
}

impl<B: Backend> Loaded<B> {
    pub fn new(backend: &B, program: Program<B::Kernel>) -> Result<Self, ExecError> {
        let batch = backend.allocate(program.batch_bytes() * program.repeat())?;
        let output = backend.allocate(program.output_bytes() * program.repeat())?;
        Ok(Self { program: Arc::new(program), batch, output })
    }

    /// The bytes of workspace that the program uses.
    pub fn workspace_bytes(&self, backend: &B) -> usize {
        self.program.workspace_bytes() * backend.lanes(self.program.repeat())
    }

    /// The size of the regions that are its own, in bytes.
    pub fn region_bytes(&self) -> usize {
        (self.program.batch_bytes() + self.program.output_bytes()) * self.program.repeat()
    }

    /// The four regions.
    pub fn memory(&self, state: &B::Buffer, workspace: &Workspace<B>) -> Memory<B::Buffer> {
        Memory {
            state: state.clone(),
            workspace: workspace.buffer.clone(),
            batch: self.batch.clone(),
            output: self.output.clone(),
        }
    }

    /// Writes every input that the program has, from tensors of `samples` samples; tensors that it does not have are passed over.
    pub fn write(
        &self,
        backend: &B,
        tensors: &NamedTensors,
        scalars: &[(&str, f32)],
        samples: usize,
    ) -> Result<(), NetworkError> {
        for binding in self.program.inputs() {
            if let Some((_, value)) = scalars.iter().find(|(name, _)| *name == binding.name) {
                backend.write(&self.batch, binding.address, &value.to_le_bytes());
                continue;
            }
            let missing = || NetworkError::Batch {
                name: binding.name.clone(),
                expected: binding.meta.to_string(),
                got: "nothing".to_owned(),
            };
            let (_, tensor) = tensors.iter().find(|(name, _)| *name == binding.name).ok_or_else(missing)?;
            self.write_one(backend, binding, *tensor, samples)?;
        }
        Ok(())
    }

    fn write_one(
        &self,
        backend: &B,
        binding: &Binding,
        tensor: TensorView,
        samples: usize,
    ) -> Result<(), NetworkError> {
        if self.program.repeat() == 1 {
            backend.write(&self.batch, binding.address, tensor.bytes_for(binding)?);
            return Ok(());
        }
        if samples == 0 || !tensor.len().is_multiple_of(samples) {
            let (name, expected) = (binding.name.clone(), format!("{samples} samples"));
            return Err(NetworkError::Elements { name, expected, got: tensor.len() });
        }
        let per = tensor.len() / samples;
        for i in 0..samples {
            backend.write(&self.batch, binding.at(i), tensor.slice(i * per..(i + 1) * per).bytes_for(binding)?);
        }
        Ok(())
    }

    /// The outputs of the first `samples` repetitions, side by side.
    pub fn predictions(&self, backend: &B, memory: &Memory<B::Buffer>, samples: usize) -> Vec<Prediction> {
        let prediction = |binding: &Binding| {
            let mut shape = binding.meta.shape.to_vec();
            shape[0] = samples;
            let data = (0..samples).flat_map(|i| read(backend, memory, binding, i)).collect();
            Prediction { name: binding.name.clone(), shape, data }
        };
        self.program.outputs().iter().map(prediction).collect()
    }

    /// Runs the steps that change no state.
    pub fn compute(&self, backend: &B, memory: &Memory<B::Buffer>, run: &Run) -> Result<(), ExecError> {
        backend.run(&self.program, self.program.compute(), memory, run)
    }
}

/// Reads an output of one repetition, as numbers.
pub(crate) fn read<B: Backend>(
    backend: &B,
    memory: &Memory<B::Buffer>,
    binding: &Binding,
    repetition: usize,
) -> Vec<f32> {
    let address = binding.at(repetition);
    let mut bytes = vec![0; address.bytes];
    backend.read(memory.region(address.region), address, &mut bytes);
    to_numbers(binding, &bytes)
}
