//! Training steps.

use std::sync::atomic::Ordering;

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, ExecError, first_non_finite};
use binary_nets_graph::ops::StateKind;
use binary_nets_graph::passes::{FINITE, Update, attach_statistics, attach_updates, dce, differentiate};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError, Op};

use crate::batch::{check_targets, tensors};
use crate::loaded::{Loaded, read};
use crate::teacher::taught;
use crate::{NamedTensors, Network, NetworkError, TensorView};

/// The compiled step of a network.
pub(crate) struct Trainer<B: Backend> {
    pub loaded: Loaded<B>,
    pub graph: Graph,
    batch: usize,
}

/// What a step yields.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    /// The loss of the batch, before the update.
    pub loss: f32,
    /// The objective's other outputs, by name.
    pub metrics: Vec<(String, f32)>,
    /// The samples of the batch.
    pub samples: usize,
}

impl<B: Backend> Network<B> {
    /// Compiles the training step: model, objective, gradients, running statistics and updates, for batches of that size. The objective's inputs are the
    /// model's outputs, by name, and tensors of the batch; its outputs are `loss` and metrics, `f32[]` each. Parameters without an update are frozen.
    pub fn compile_training(
        &mut self,
        objective: &GraphSpec,
        updates: &[Update],
        batch: usize,
    ) -> Result<(), NetworkError> {
        if batch == 0 {
            return Err(NetworkError::Argument("a batch has 1 sample or more".to_owned()));
        }
        let forward = self.with_objective(objective, batch)?;
        if let Some((name, value)) = forward.outputs().iter().find(|(_, v)| !forward.meta(*v).shape.is_empty()) {
            let path = forward.producer(*value).path.clone();
            let got = forward.meta(*value).to_string();
            return Err(GraphError::Shape {
                op: "objective",
                path,
                expected: format!("f32[] for output '{name}'"),
                got,
            }
            .into());
        }
        for (i, update) in updates.iter().enumerate() {
            if updates[..i].iter().any(|before| before.path == update.path) {
                return Err(NetworkError::Argument(format!("'{}' has two updates", update.path)));
            }
            let trainable = |op: &Op| matches!(op, Op::State(s) if s.path == update.path && matches!(s.kind, StateKind::Parameter | StateKind::Latent));
            if !forward.nodes().iter().any(|n| trainable(&n.op)) {
                return Err(NetworkError::Argument(format!("'{}' is no parameter of the network", update.path)));
            }
        }
        let paths: Vec<&str> = updates.iter().map(|u| u.path.as_str()).collect();
        let differentiated = differentiate(&forward, "loss", &paths)?;
        let mut graph = differentiated.graph;
        attach_statistics(&mut graph, None)?;
        attach_updates(&mut graph, &differentiated.gradients, updates)?;
        let graph = dce(&graph)?;
        self.trainer = None;
        self.add_states(&graph)?;
        let loaded = self.load(&graph)?;
        self.trainer = Some(Trainer { loaded, graph, batch });
        Ok(())
    }

    /// The compiled step.
    pub(crate) fn trainer(&self) -> Result<&Trainer<B>, NetworkError> {
        let missing = || NetworkError::Argument("no training step has been compiled".to_owned());
        self.trainer.as_ref().ok_or_else(missing)
    }

    /// Writes what a step reads, with what the teacher says of its images.
    pub(crate) fn write_step(&mut self, tensors: &NamedTensors, scalars: &[(&str, f32)]) -> Result<(), NetworkError> {
        let Trainer { loaded, batch, .. } = self.trainer()?;
        let (asked, batch) = (taught(loaded), *batch);
        let taught = self.teach(&asked, tensors, batch)?;
        let mut all = tensors.to_vec();
        all.extend(taught.iter().map(|p| (p.name.as_str(), TensorView::F32(&p.data))));
        self.trainer()?.loaded.write(&self.backend, &all, scalars, batch)
    }

    /// Makes one step. A loss or a gradient that is not finite, and a cancelled step, change nothing.
    pub fn train_step(&mut self, tensors: &NamedTensors, scalars: &[(&str, f32)]) -> Result<StepReport, NetworkError> {
        self.write_step(tensors, scalars)?;
        let (trainer, run) = (self.trainer()?, self.run_info());
        let loaded = &trainer.loaded;
        let memory = loaded.memory(&self.state, &self.workspace);
        loaded.compute(&self.backend, &memory, &run)?;
        let mut finite = true;
        let mut report = StepReport { loss: f32::NAN, metrics: Vec::new(), samples: trainer.batch };
        for binding in loaded.program.outputs() {
            let value = read(&self.backend, &memory, binding, 0)[0];
            match binding.name.as_str() {
                "loss" => report.loss = value,
                FINITE => finite = value == 1.0,
                name => report.metrics.push((name.to_owned(), value)),
            }
        }
        if !(report.loss.is_finite() && finite) {
            let culprit = first_non_finite(&self.backend, &loaded.program, &memory, &run)?;
            let (op, path) = culprit
                .map_or_else(|| ("loss".to_owned(), String::new()), |step| (step.op.to_owned(), step.path.clone()));
            return Err(NetworkError::NotFinite { loss: report.loss, step: self.step, op, path });
        }
        if self.cancel.load(Ordering::Relaxed) {
            return Err(ExecError::Cancelled.into());
        }
        self.backend.run(&loaded.program, loaded.program.update(), &memory, &run)?;
        self.step += 1;
        self.version += 1;
        Ok(report)
    }

    /// Makes one step on the next batch of a loader; `None` at the end of its epoch.
    pub fn train_next(
        &mut self,
        loader: &mut Loader,
        scalars: &[(&str, f32)],
    ) -> Result<Option<StepReport>, NetworkError> {
        let nodes = self.trainer.iter().flat_map(|trainer| trainer.graph.nodes());
        check_targets(nodes.map(|node| &node.op), loader.dataset())?;
        let Some(batch) = self.next_batch(loader)? else { return Ok(None) };
        let image = self.image_name()?.to_owned();
        self.train_step(&tensors(&image, &batch), scalars).map(Some)
    }
}
