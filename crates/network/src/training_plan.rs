//! What a training step takes, before it is made.

use std::collections::BTreeMap;

use binary_nets_exec::{Backend, Held, MemoryPolicy, plan};
use binary_nets_graph::passes::Update;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Node};
use serde::Serialize;

use crate::train::Thrifty;
use crate::{Network, NetworkError, TrainingOptions};

/// What a training step takes. Sizes are in bytes.
///
/// With accumulation there are two programs, one for each batch of an update but the last and one for the last, in one workspace; `kept`, `peak` and `again` are of the one that needs
/// all of it.
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
        let mut states = self.states_beside(&steps.update.graph);
        for step in steps.accumulate.iter().chain([&steps.update]) {
            states.extend(&self.backend, &step.graph);
        }
        let planned = |step: &Thrifty| plan(&self.backend, &step.graph, &states, 1);
        let update = (&steps.update, planned(&steps.update)?);
        let accumulate = steps.accumulate.as_ref();
        let accumulate = accumulate.map(|step| planned(step).map(|program| (step, program))).transpose()?;
        let programs = || accumulate.iter().chain([&update]);
        let (step, program) = programs().max_by_key(|(_, program)| program.workspace_bytes()).unwrap_or(&update);
        let held = program.held(&step.graph);
        let (fullest, loss) = (program.fullest(&held), program.writer_of("loss").unwrap_or(0));
        let peak = &program.steps()[fullest];
        Ok(TrainingPlan {
            memory: options.memory,
            batch_size: batch,
            state_bytes: states.bytes(),
            workspace_bytes: program.workspace_bytes(),
            batch_bytes: programs().map(|(_, program)| program.batch_bytes() + program.output_bytes()).sum(),
            kept: held.iter().filter(|held| held.first < loss && held.last > loss).cloned().collect(),
            peak: Peak {
                op: peak.op,
                path: peak.path.clone(),
                scratch: peak.scratch.bytes,
                held: held.into_iter().filter(|held| held.during(fullest)).collect(),
            },
            again: step.again.clone(),
        })
    }
}

/// What of a graph runs more often than in one where everything runs `once`.
pub(crate) fn again(once: &Graph, graph: &Graph) -> Vec<Again> {
    let count = |graph: &Graph| {
        let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for Node { op, path, .. } in graph.nodes() {
            *counts.entry((path.clone(), op.name())).or_default() += 1;
        }
        counts
    };
    let once = count(once);
    let more = count(graph).into_iter().filter_map(|(key, times)| {
        let times = times.saturating_sub(once.get(&key).copied().unwrap_or(0));
        let (path, op) = key;
        (times > 0).then_some(Again { op, path, times })
    });
    more.collect()
}
