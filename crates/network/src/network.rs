//! The network: a graph spec, its state, and the programs made of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use binary_nets_exec::{Address, Backend, ExecError, Run, StateTable, plan};
use binary_nets_graph::ops::{Input, State, StateKind};
use binary_nets_graph::passes::{Frozen, calibration, dce, evaluation, freeze, fuse, per_image};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::summary::{Row, summary};
use binary_nets_graph::{Graph, GraphError, Init, Meaning, Op};

use crate::NetworkError;
use crate::evaluate::Objectives;
use crate::frozen::Folded;
use crate::init::initial;
use crate::loaded::Loaded;
use crate::recent::Recent;
use crate::scalars::refuse_scalars;
use crate::train::Trainer;
use crate::workspace::Workspace;

/// Bytes of a state that are moved at once; a multiple of the size of every element.
const PIECE: usize = 1 << 16;

/// A network on a backend.
pub struct Network<B: Backend> {
    pub(crate) backend: B,
    pub(crate) spec: GraphSpec,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// Counts changes of state; what was folded from an older one is stale.
    pub(crate) version: u64,
    pub(crate) states: StateTable,
    pub(crate) state: B::Buffer,
    pub(crate) workspace: Workspace<B>,
    pub(crate) trainer: Option<Trainer<B>>,
    pub(crate) frozen: Recent<Folded<B>>,
    pub(crate) objectives: Objectives<B>,
    pub(crate) teacher: Option<Box<Network<B>>>,
    pub(crate) cancel: Arc<AtomicBool>,
}

/// A graph of a network that can be printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dump {
    /// As traced.
    Model,
    /// The whole training step, once one was compiled; with accumulation that of an update's last batch.
    Training,
    /// Unfolded evaluation.
    Evaluation,
    /// Only the updates of running statistics.
    Calibration,
    /// From states to the constants of the frozen program.
    Fold,
    /// What evaluates and ships.
    Frozen,
    /// The same with every epilogue fused, as it runs.
    Fused,
}

impl<B: Backend> Network<B> {
    /// A network with freshly initialised states.
    pub fn new(backend: B, spec: GraphSpec, seed: u64) -> Result<Self, NetworkError> {
        let (mut network, model) = Self::without_states(backend, spec, seed)?;
        network.add_states(&model)?;
        Ok(network)
    }

    /// A network that has no states yet, and its model.
    pub(crate) fn without_states(backend: B, spec: GraphSpec, seed: u64) -> Result<(Self, Graph), NetworkError> {
        let model = spec.graph(1, &[])?;
        let (state, workspace) = (backend.allocate(0)?, Workspace::new(&backend)?);
        let network = Self {
            backend,
            spec,
            seed,
            step: 0,
            version: 0,
            states: StateTable::default(),
            state,
            workspace,
            trainer: None,
            frozen: Recent::default(),
            objectives: Objectives::default(),
            teacher: None,
            cancel: Arc::default(),
        };
        network.image_name()?;
        refuse_scalars("model", &network.spec)?;
        // Everything that evaluation needs is planned once now, so that impossible networks are refused when they are made.
        network.frozen_graphs(&[])?;
        Ok((network, model))
    }

    /// Makes room for the states of a graph that are new. Their paths.
    pub(crate) fn make_room(&mut self, graph: &Graph) -> Result<Vec<String>, ExecError> {
        let mut states = self.states.clone();
        let added = states.extend(&self.backend, graph);
        if !added.is_empty() {
            self.move_states(states)?;
        }
        Ok(added)
    }

    /// Makes room for the states of a graph that are new, and initialises them; averages start as copies.
    pub(crate) fn add_states(&mut self, graph: &Graph) -> Result<(), NetworkError> {
        let added = self.make_room(graph)?;
        let fresh: Vec<State> = self.states.states().filter(|s| added.contains(&s.path)).cloned().collect();
        // Memory comes as zeroes.
        for state in fresh.iter().filter(|state| state.init != Init::Constant(0.0)) {
            self.set_state(&state.path, &initial(state, self.seed))?;
        }
        for (path, average) in self.averaged().iter().filter(|(_, average)| added.contains(average)) {
            self.set_state(average, &self.state(path)?)?;
        }
        Ok(())
    }

    /// The states without the moments that a training step does not have.
    pub(crate) fn states_beside(&self, step: &Graph) -> StateTable {
        let paths = step.nodes().iter().filter_map(|node| match &node.op {
            Op::State(state) => Some(state.path.as_str()),
            _ => None,
        });
        let read: BTreeSet<&str> = paths.collect();
        self.states.retaining(|state| state.kind != StateKind::Moment || read.contains(state.path.as_str()))
    }

    /// Drops the moments that a training step does not have, and makes room for those of its states that are new.
    pub(crate) fn take_states(&mut self, step: &Graph) -> Result<(), NetworkError> {
        let kept = self.states_beside(step);
        if kept.states().count() < self.states.states().count() {
            // Programs know addresses.
            (self.trainer, self.frozen, self.objectives) = (None, Recent::default(), Objectives::default());
            self.move_states(kept)?;
        }
        self.add_states(step)
    }

    /// Moves what is in both tables to the addresses of a new one.
    fn move_states(&mut self, states: StateTable) -> Result<(), ExecError> {
        (self.state, self.states) = (self.copy_states(&states)?, states);
        Ok(())
    }

    /// A copy of what is in both tables, at the addresses of the other one.
    pub(crate) fn copy_states(&self, states: &StateTable) -> Result<B::Buffer, ExecError> {
        let memory = self.backend.allocate(states.bytes())?;
        for State { path, .. } in states.states() {
            let (Some(from), Some(to)) = (self.states.address(path), states.address(path)) else { continue };
            // In pieces: what is as large as a weight comes and goes, and the process keeps it.
            let mut bytes = vec![0; from.bytes.min(PIECE)];
            for start in (0..from.bytes).step_by(PIECE) {
                let bytes = &mut bytes[..PIECE.min(from.bytes - start)];
                let part = |slot: Address| Address { offset: slot.offset + start, bytes: bytes.len(), ..slot };
                let (from, to) = (part(from), part(to));
                self.backend.read(&self.state, from, bytes);
                self.backend.write(&memory, to, bytes);
            }
        }
        Ok(memory)
    }

    /// Plans a graph over this network's states.
    pub(crate) fn load(&mut self, graph: &Graph) -> Result<Loaded<B>, NetworkError> {
        let program = plan(&self.backend, graph, &self.states, 1)?;
        let loaded = Loaded::new(&self.backend, program)?;
        self.workspace.reserve(&self.backend, &loaded)?;
        Ok(loaded)
    }

    /// What a run of this network is told.
    pub(crate) fn run_info(&self) -> Run {
        Run { seed: self.seed, step: self.step, cancel: Arc::clone(&self.cancel) }
    }

    /// A flag that, while it is set, ends the running call and every later one with [`binary_nets_exec::ExecError::Cancelled`] before it changes any
    /// state. Whoever sets it clears it.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// The backend.
    pub const fn backend(&self) -> &B {
        &self.backend
    }

    /// The spec that the network was made from.
    pub const fn spec(&self) -> &GraphSpec {
        &self.spec
    }

    /// Updates made so far.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// The name of the model's image: its one input.
    pub(crate) fn image_name(&self) -> Result<&str, NetworkError> {
        Ok(&self.image()?.name)
    }

    /// The model's image: its one input.
    pub(crate) fn image(&self) -> Result<&Input, NetworkError> {
        let mut images = self.spec.nodes.iter().filter_map(|n| match &n.op {
            Op::Input(input) => Some(input),
            _ => None,
        });
        match (images.next(), images.next()) {
            (Some(image), None) if matches!(image.meaning, Meaning::Int { .. }) => Ok(image),
            _ => Err(NetworkError::Argument("a model has one input, a uint8 image".to_owned())),
        }
    }

    /// The model's outputs for batches of that size; also the named layers.
    pub(crate) fn model(&self, batch: usize, layers: &[&str]) -> Result<Graph, GraphError> {
        self.spec.graph(batch, layers)
    }

    /// The graphs of the frozen network that yields the named outputs or layers; the model's outputs where none are named.
    pub(crate) fn frozen_graphs(&self, outputs: &[&str]) -> Result<Frozen, NetworkError> {
        let layers: Vec<&str> = outputs.iter().copied().filter(|name| !self.spec.outputs.contains_key(*name)).collect();
        let model = |batch| {
            let mut graph = self.model(batch, &layers)?;
            if !outputs.is_empty() {
                graph.retain_outputs(outputs)?;
            }
            dce(&graph)
        };
        for batch in [2, 3] {
            per_image(&model(batch)?)?;
        }
        Ok(freeze(&dce(&evaluation(&model(1)?)?)?)?)
    }

    /// The rows of the summary table.
    pub fn summary(&self) -> Result<Vec<Row>, NetworkError> {
        Ok(summary(&self.model(1, &[])?))
    }

    /// A graph as text.
    pub fn dump(&self, what: Dump, batch: usize) -> Result<String, NetworkError> {
        let model = || self.model(batch, &[]);
        Ok(match what {
            Dump::Model => model()?.dump(),
            Dump::Training => match &self.trainer {
                Some(trainer) => trainer.graph.dump(),
                None => return Err(NetworkError::Argument("no training step has been compiled".to_owned())),
            },
            Dump::Evaluation => evaluation(&model()?)?.dump(),
            Dump::Calibration => calibration(&model()?)?.dump(),
            Dump::Fold => self.frozen_graphs(&[])?.fold.dump(),
            Dump::Frozen => self.frozen_graphs(&[])?.run.dump(),
            Dump::Fused => fuse(&self.frozen_graphs(&[])?.run)?.dump(),
        })
    }

    /// All states but moments: parameters, latent weights, running statistics.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.states.states().filter(|s| s.kind != StateKind::Moment)
    }

    fn slot(&self, path: &str) -> Result<Address, NetworkError> {
        let unknown = || GraphError::Unknown {
            kind: "state",
            name: path.to_owned(),
            known: self.states.states().map(|s| s.path.as_str()).collect::<Vec<_>>().join(", "),
        };
        Ok(self.states.address(path).ok_or_else(unknown)?)
    }

    /// A copy of a state tensor.
    pub fn state(&self, path: &str) -> Result<Vec<f32>, NetworkError> {
        let address = self.slot(path)?;
        let mut values = vec![0f32; address.bytes / 4];
        self.backend.read(&self.state, address, bytemuck::cast_slice_mut(&mut values));
        Ok(values)
    }

    /// Lets the optimizers start afresh: their moments, their count of updates and accumulated gradients are 0 again, averages copies of what they are of.
    pub fn reset_moments(&mut self) -> Result<(), NetworkError> {
        let moments: Vec<State> =
            self.states.states().filter(|state| state.kind == StateKind::Moment).cloned().collect();
        for state in moments {
            self.set_state(&state.path, &vec![0.0; state.shape.elements()])?;
        }
        for (path, average) in self.averaged() {
            self.set_state(&average, &self.state(&path)?)?;
        }
        Ok(())
    }

    /// Replaces a state tensor.
    pub fn set_state(&mut self, path: &str, values: &[f32]) -> Result<(), NetworkError> {
        let address = self.slot(path)?;
        if values.len() * 4 != address.bytes {
            let expected = format!("{} elements", address.bytes / 4);
            return Err(NetworkError::Elements { name: path.to_owned(), expected, got: values.len() });
        }
        self.backend.write(&self.state, address, bytemuck::cast_slice(values));
        self.version += 1;
        Ok(())
    }
}
