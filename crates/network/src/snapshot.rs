//! A network as it is at some moment.

use binary_nets_exec::Backend;
use binary_nets_graph::spec::GraphSpec;

use crate::{Network, NetworkError};

/// Copies of what a network's predictions follow from: spec and states, without the optimizers' moments.
#[derive(Clone, Debug)]
pub struct Snapshot {
    spec: GraphSpec,
    seed: u64,
    states: Vec<(String, Vec<f32>)>,
}

impl<B: Backend> Network<B> {
    /// The network as it is now.
    pub fn snapshot(&self) -> Result<Snapshot, NetworkError> {
        let states = self.states().map(|state| Ok((state.path.clone(), self.state(&state.path)?)));
        let states = states.collect::<Result<_, NetworkError>>()?;
        Ok(Snapshot { spec: self.spec.clone(), seed: self.seed, states })
    }

    /// A network as another one was; its count of updates starts at 0.
    pub fn from_snapshot(backend: B, snapshot: Snapshot) -> Result<Self, NetworkError> {
        let (mut network, model) = Self::without_states(backend, snapshot.spec, snapshot.seed)?;
        network.make_room(&model)?;
        for (path, values) in snapshot.states {
            network.set_state(&path, &values)?;
        }
        Ok(network)
    }
}
