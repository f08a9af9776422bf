//! Training steps.

use std::sync::atomic::Ordering;

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, ExecError, Run, first_non_finite};
use binary_nets_graph::ops::StateKind;
use binary_nets_graph::passes::{
    ACCUMULATED, Differentiated, FINITE, GRADIENT, Update, accumulate_gradients, accumulated_gradients,
    attach_averages, attach_statistics, attach_updates, clip_gradients, dce, differentiate,
};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError, Op};

use crate::batch::{check_targets, tensors};
use crate::loaded::{Loaded, read};
use crate::teacher::taught;
use crate::{NamedTensors, Network, NetworkError, TensorView, TrainingOptions};

/// The compiled step of a network.
pub(crate) struct Trainer<B: Backend> {
    setup: Setup,
    /// The step that updates.
    update: Loaded<B>,
    /// The step of all batches of an update but the last.
    accumulate: Option<Loaded<B>>,
    pub graph: Graph,
}

impl<B: Backend> Trainer<B> {
    /// The program of a step that updates, or that only accumulates.
    pub fn step(&self, updates: bool) -> &Loaded<B> {
        self.accumulate.as_ref().filter(|_| !updates).unwrap_or(&self.update)
    }

    /// Its programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.accumulate.iter().chain([&self.update])
    }
}

/// What a step was compiled for.
#[derive(Clone, PartialEq, Debug)]
struct Setup {
    objective: GraphSpec,
    updates: Vec<Update>,
    batch: usize,
    options: TrainingOptions,
}

/// What a step yields.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    /// The loss of the batch, before an update.
    pub loss: f32,
    /// The objective's other outputs, by name.
    pub metrics: Vec<(String, f32)>,
    /// The samples of the batch.
    pub samples: usize,
    /// Whether the batch was the last of an update, which then was made.
    pub updated: bool,
}

impl<B: Backend> Network<B> {
    /// Compiles the training step: model, objective, gradients, running statistics and updates, for batches of that size. The objective's inputs are the
    /// model's outputs, by name, and tensors of the batch; its outputs are `loss` and metrics, `f32[]` each. Parameters without an update are frozen.
    ///
    /// Gradients that were accumulated for the next update stay if the step is compiled for the same again, or for the first time after
    /// [`Network::open`]; otherwise they are dropped.
    pub fn compile_training(
        &mut self,
        objective: &GraphSpec,
        updates: &[Update],
        batch: usize,
        options: &TrainingOptions,
    ) -> Result<(), NetworkError> {
        options.check()?;
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
        let mut differentiated = differentiate(&forward, "loss", &paths)?;
        attach_statistics(&mut differentiated.graph, None)?;
        let graph = updating(&differentiated, updates, options)?;
        let accumulating = (options.accumulate > 1).then(|| accumulating(&differentiated)).transpose()?;
        let setup = Setup { objective: objective.clone(), updates: updates.to_vec(), batch, options: *options };
        let goes_on = self.trainer.as_ref().is_none_or(|before| before.setup == setup);
        self.trainer = None;
        let added = self.add_states(&graph)?;
        let whole = !added.iter().any(|path| path.ends_with(GRADIENT));
        if !(goes_on && whole && self.accumulated()? < options.accumulate) {
            self.drop_accumulated()?;
        }
        let accumulate = accumulating.map(|graph| self.load(&graph)).transpose()?;
        let update = self.load(&graph)?;
        self.trainer = Some(Trainer { setup, update, accumulate, graph });
        Ok(())
    }

    /// The compiled step.
    pub(crate) fn trainer(&self) -> Result<&Trainer<B>, NetworkError> {
        let missing = || NetworkError::Argument("no training step has been compiled".to_owned());
        self.trainer.as_ref().ok_or_else(missing)
    }

    /// How many batches have been accumulated for the next update.
    fn accumulated(&self) -> Result<usize, NetworkError> {
        let known = self.states.address(ACCUMULATED).is_some();
        Ok(if known { self.state(ACCUMULATED)?[0] as usize } else { 0 })
    }

    /// Forgets the batches that have been accumulated.
    fn drop_accumulated(&mut self) -> Result<(), NetworkError> {
        let is_sum = |path: &str| path.ends_with(GRADIENT) || path == ACCUMULATED;
        let sums: Vec<_> = self.states.states().filter(|state| is_sum(&state.path)).cloned().collect();
        sums.iter().try_for_each(|state| self.set_state(&state.path, &vec![0.0; state.shape.elements()]))
    }

    /// Writes what a step reads, with what the teacher says of its images.
    pub(crate) fn write_step(
        &mut self,
        updates: bool,
        tensors: &NamedTensors,
        scalars: &[(&str, f32)],
    ) -> Result<(), NetworkError> {
        let trainer = self.trainer()?;
        let (asked, batch) = (taught(trainer.step(updates)), trainer.setup.batch);
        let taught = self.teach(&asked, tensors, batch)?;
        let mut all = tensors.to_vec();
        all.extend(taught.iter().map(|p| (p.name.as_str(), TensorView::F32(&p.data))));
        self.trainer()?.step(updates).write(&self.backend, &all, scalars, batch)
    }

    /// Makes one step: an update, or with accumulation a part of one. A loss or a gradient that is not finite, and a cancelled step, change nothing.
    pub fn train_step(&mut self, tensors: &NamedTensors, scalars: &[(&str, f32)]) -> Result<StepReport, NetworkError> {
        let accumulated = self.accumulated()?;
        let updated = accumulated + 1 >= self.trainer()?.setup.options.accumulate;
        self.write_step(updated, tensors, scalars)?;
        let trainer = self.trainer()?;
        let (loaded, samples) = (trainer.step(updated), trainer.setup.batch);
        // Batches of one update have random numbers of their own.
        let run = Run { step: self.step | (accumulated as u64) << 40, ..self.run_info() };
        let memory = loaded.memory(&self.state, &self.workspace);
        loaded.compute(&self.backend, &memory, &run)?;
        let mut finite = true;
        let mut report = StepReport { loss: f32::NAN, metrics: Vec::new(), samples, updated };
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
        self.step += u64::from(updated);
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

/// The graph of the step that updates.
fn updating(
    differentiated: &Differentiated,
    updates: &[Update],
    options: &TrainingOptions,
) -> Result<Graph, GraphError> {
    let (mut graph, mut gradients) = (differentiated.graph.clone(), differentiated.gradients.clone());
    if options.accumulate > 1 {
        gradients = accumulated_gradients(&mut graph, &gradients, options.accumulate)?;
    }
    if let Some(norm) = options.clip_norm {
        gradients = clip_gradients(&mut graph, &gradients, norm)?;
    }
    attach_updates(&mut graph, &gradients, updates)?;
    if let Some(decay) = options.average {
        attach_averages(&mut graph, decay)?;
    }
    dce(&graph)
}

/// The graph of the step that only accumulates.
fn accumulating(differentiated: &Differentiated) -> Result<Graph, GraphError> {
    let mut graph = differentiated.graph.clone();
    accumulate_gradients(&mut graph, &differentiated.gradients)?;
    dce(&graph)
}
