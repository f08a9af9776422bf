//! Training steps.

use std::sync::atomic::Ordering;

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, ExecError, Run, first_non_finite, thrifty};
use binary_nets_graph::ops::{State, StateKind};
use binary_nets_graph::passes::{
    ACCUMULATED, Differentiated, FINITE, GRADIENT, Update, accumulate_gradients, accumulated_gradients,
    attach_averages, attach_statistics, attach_updates, clip_gradients, dce, differentiate, economize, fuse_norms,
    quantize_slopes, round_gradients,
};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError, Op};

use crate::batch::{check_targets, tensors};
use crate::loaded::{Loaded, read};
use crate::teacher::taught;
use crate::training_plan::{Again, again};
use crate::{Gradients, NamedTensors, Network, NetworkError, Slopes, TensorView, TrainingOptions};

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

/// The graphs of a step.
pub(crate) struct Steps {
    /// The step that updates.
    pub update: Thrifty,
    /// The step of all batches of an update but the last.
    pub accumulate: Option<Thrifty>,
}

/// A graph as the policy of memory has it.
pub(crate) struct Thrifty {
    /// What runs.
    pub graph: Graph,
    /// What of it the policy computes again.
    pub again: Vec<Again>,
}

/// What a step was compiled for.
struct Setup {
    objective: GraphSpec,
    updates: Vec<Update>,
    batch: usize,
    options: TrainingOptions,
}

impl Setup {
    /// Whether both yield the same numbers.
    fn computes_as(&self, other: &Self) -> bool {
        let Self { objective, updates, batch, options } = self;
        let options = TrainingOptions { memory: other.options.memory, ..*options };
        (objective, updates, *batch, options) == (&other.objective, &other.updates, other.batch, other.options)
    }
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
    /// Moments and averages that the step does not have are dropped; those that it has go on. Gradients that were accumulated for the next update go on if
    /// the step is compiled for the same again. A step that is the first after [`Network::open`] goes on with those of the file if they are of the very
    /// parameters that it accumulates, and fewer than its batches; that the rest is as it was, is up to the host. Otherwise, and where compiling fails, they
    /// are dropped.
    pub fn compile_training(
        &mut self,
        objective: &GraphSpec,
        updates: &[Update],
        batch: usize,
        options: &TrainingOptions,
    ) -> Result<(), NetworkError> {
        let Steps { update, accumulate } = self.steps(objective, updates, batch, options)?;
        let setup = Setup { objective: objective.clone(), updates: updates.to_vec(), batch, options: *options };
        let compiled = self.trainer_of(setup, update.graph, accumulate.as_ref().map(|step| &step.graph));
        if compiled.is_err() {
            self.drop_trainer()?;
        }
        self.trainer = Some(compiled?);
        Ok(())
    }

    /// The graphs of a step.
    pub(crate) fn steps(
        &self,
        objective: &GraphSpec,
        updates: &[Update],
        batch: usize,
        options: &TrainingOptions,
    ) -> Result<Steps, NetworkError> {
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
        if options.gradients == Gradients::Fixed {
            round_gradients(&mut differentiated.graph);
        }
        let lighter = |step| match options.slopes {
            Slopes::F32 => Ok(step),
            Slopes::Int8 => quantize_slopes(&step),
        };
        let accumulating = (options.accumulate > 1).then(|| accumulating(&differentiated)).transpose()?;
        let thrifty = |once| {
            let once = economize(&lighter(once)?)?;
            let more = thrifty(&self.backend, &once, options.memory)?;
            // Behind the policy, which may keep what lies within a sweep and compute the rest again.
            Ok::<_, NetworkError>(Thrifty { graph: fuse_norms(&more)?, again: again(&once, &more) })
        };
        Ok(Steps {
            update: thrifty(updating(&differentiated, updates, options)?)?,
            accumulate: accumulating.map(thrifty).transpose()?,
        })
    }

    /// The programs of a step, in the place of those of before.
    fn trainer_of(
        &mut self,
        setup: Setup,
        graph: Graph,
        accumulating: Option<&Graph>,
    ) -> Result<Trainer<B>, NetworkError> {
        let goes_on = self.trainer.take().is_none_or(|before| before.setup.computes_as(&setup));
        let sums = self.sums();
        self.take_states(&graph)?;
        if !(goes_on && self.sums() == sums && self.accumulated()? < setup.options.accumulate) {
            self.drop_accumulated()?;
        }
        let accumulate = accumulating.map(|graph| self.load(graph)).transpose()?;
        let update = self.load(&graph)?;
        Ok(Trainer { setup, update, accumulate, graph })
    }

    /// Forgets the compiled step and the batches that have been accumulated for its next update.
    pub(crate) fn drop_trainer(&mut self) -> Result<(), NetworkError> {
        self.trainer = None;
        self.drop_accumulated()
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

    /// The states that accumulate, and their count.
    fn sums(&self) -> Vec<State> {
        let is_sum = |path: &str| path.ends_with(GRADIENT) || path == ACCUMULATED;
        self.states.states().filter(|state| is_sum(&state.path)).cloned().collect()
    }

    /// Forgets the batches that have been accumulated.
    fn drop_accumulated(&mut self) -> Result<(), NetworkError> {
        self.sums().iter().try_for_each(|state| self.set_state(&state.path, &vec![0.0; state.shape.elements()]))
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
        // No batch is lost on a step that cannot be made.
        check_targets(self.trainer()?.graph.nodes().iter().map(|node| &node.op), loader.dataset())?;
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
    let mut norm = None;
    if let Some(most) = options.clip_norm {
        let (clipped, before) = clip_gradients(&mut graph, &gradients, most)?;
        (gradients, norm) = (clipped, Some(before));
    }
    attach_updates(&mut graph, &gradients, norm, updates)?;
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
