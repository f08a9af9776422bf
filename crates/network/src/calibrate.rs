//! Estimating running statistics anew.

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, Run};
use binary_nets_graph::ops::StateKind;
use binary_nets_graph::passes::calibration;

use crate::{Network, NetworkError, TensorView};

impl<B: Backend> Network<B> {
    /// Replaces the running statistics of all norms by their plain mean over up to `batches` batches of a loader, all of one size: a smaller last
    /// batch is passed over. Yields how many batches there were. A call that fails or is cancelled changes nothing.
    pub fn recalibrate(&mut self, loader: &mut Loader, batches: usize) -> Result<usize, NetworkError> {
        let statistics = self.states().filter(|state| state.kind == StateKind::Statistic);
        let before = statistics
            .map(|state| Ok((state.path.clone(), self.state(&state.path)?)))
            .collect::<Result<Vec<_>, NetworkError>>()?;
        let result = self.estimate(loader, batches);
        if result.is_err() {
            for (path, values) in &before {
                self.set_state(path, values)?;
            }
        }
        result
    }

    fn estimate(&mut self, loader: &mut Loader, batches: usize) -> Result<usize, NetworkError> {
        let image = self.image_name()?.to_owned();
        let mut loaded = None;
        let mut done = 0;
        while done < batches {
            let Some(batch) = self.next_batch(loader)? else { break };
            let (size, loaded) = if let Some(loaded) = &loaded {
                loaded
            } else {
                let graph = calibration(&self.model(batch.len(), &[])?)?;
                loaded.insert((batch.len(), self.load(&graph)?))
            };
            if batch.len() != *size {
                continue;
            }
            let memory = loaded.memory(&self.state, &self.workspace);
            let run = Run { step: done as u64, ..self.run_info() };
            loaded.write(&self.backend, &[(&image, TensorView::U8(&batch.images))], &[], *size)?;
            loaded.compute(&self.backend, &memory, &run)?;
            self.backend.run(&loaded.program, loaded.program.update(), &memory, &run)?;
            self.version += 1;
            done += 1;
        }
        Ok(done)
    }
}
