//! What a training step takes, before it is made.

use std::collections::BTreeMap;

use binary_nets_exec::{Backend, Binding, Held, MemoryPolicy, Program, plan};
use binary_nets_graph::passes::Update;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Node};
use serde::Serialize;

use crate::train::Steps;
use crate::{Network, NetworkError, TrainingOptions};

/// What a training step takes. Sizes are in bytes.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingPlan {
    /// What it was planned for.
    pub memory: MemoryPolicy,
    /// The samples of a batch.
    pub batch_size: usize,
    /// Parameters, statistics and what optimizers remember.
    pub state_bytes: usize,
    /// Everything between the batch and the updates.
    pub workspace_bytes: usize,
    /// The batch, and what is read of the step.
    pub batch_bytes: usize,
    /// What forward leaves for backward.
    pub kept: Vec<Held>,
    /// The op during which the workspace holds the most.
    pub peak: Peak,
    /// What is computed again.
    pub again: Vec<Again>,
}

/// The fullest moment of a step.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Peak {
    /// The op that runs.
    pub op: &'static str,
    /// The path of its layer.
    pub path: String,
    /// The memory that it needs while it runs, in bytes.
    pub scratch: usize,
    /// What is held.
    pub held: Vec<Held>,
}

/// An op that runs more than once.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Again {
    /// The op.
    pub op: &'static str,
    /// The path of its layer.
    pub path: String,
    /// How often it runs besides the first time.
    pub times: usize,
}

impl<B: Backend> Network<B> {
    /// Plans the step that [`Network::compile_training`] would compile, and changes nothing.
    pub fn plan_training(
        &self,
        objective: &GraphSpec,
        updates: &[Update],
        batch: usize,
        options: &TrainingOptions,
    ) -> Result<TrainingPlan, NetworkError> {
        let steps = self.steps(objective, updates, batch, options)?;
        let mut states = self.states_beside(&steps.update);
        for graph in [Some(&steps.update), steps.accumulate.as_ref()].into_iter().flatten() {
            states.extend(&self.backend, graph);
        }
        let program = plan(&self.backend, &steps.update, &states, 1)?;
        let accumulate = steps.accumulate.as_ref().map(|graph| plan(&self.backend, graph, &states, 1)).transpose()?;
        let programs = || accumulate.iter().chain([&program]);
        let (fullest, loss) = (program.fullest(), loss_of(&program));
        let peak = &program.steps()[fullest];
        Ok(TrainingPlan {
            memory: options.memory,
            batch_size: batch,
            state_bytes: states.bytes(),
            workspace_bytes: programs().map(Program::workspace_bytes).max().unwrap_or(0),
            batch_bytes: programs().map(|program| program.batch_bytes() + program.output_bytes()).sum(),
            kept: program.held(loss).filter(|held| held.first < loss && held.last > loss).cloned().collect(),
            peak: Peak {
                op: peak.op,
                path: peak.path.clone(),
                scratch: peak.scratch.bytes,
                held: program.held(fullest).cloned().collect(),
            },
            again: again(&steps),
        })
    }
}

/// The step that yields the loss, between forward and backward.
fn loss_of<K>(program: &Program<K>) -> usize {
    let loss = program.outputs().iter().find(|output| output.name == "loss");
    let yields = |output: &Binding| program.steps().iter().position(|step| step.outputs.contains(&output.address));
    loss.and_then(yields).unwrap_or(0)
}

/// What runs more often than the step asks for.
fn again(steps: &Steps) -> Vec<Again> {
    let count = |graph: &Graph| {
        let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for Node { op, path, .. } in graph.nodes() {
            *counts.entry((path.clone(), op.name())).or_default() += 1;
        }
        counts
    };
    let once = count(&steps.once);
    let more = count(&steps.update).into_iter().filter_map(|(key, times)| {
        let times = times - once.get(&key).copied().unwrap_or(0);
        let (path, op) = key;
        (times > 0).then_some(Again { op, path, times })
    });
    more.collect()
}
