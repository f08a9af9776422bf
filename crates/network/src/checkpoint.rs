//! Saving and loading.

use std::fs;
use std::path::Path;

use binary_nets_exec::Backend;
use binary_nets_formats::Tensor;
use binary_nets_formats::checkpoint::{Checkpoint, decode, encode};
use binary_nets_graph::ops::{State, StateKind};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Init, Meaning, Op};

use crate::replace_file::replace_file;
use crate::{Network, NetworkError};

impl<B: Backend> Network<B> {
    /// Writes everything that the network is: spec, states, moments, step and seed, and the host's own `metadata`. The file is written beside
    /// and renamed, so a crash leaves the old one whole.
    pub fn save(&self, path: &Path, metadata: &str) -> Result<(), NetworkError> {
        let checkpoint = Checkpoint {
            spec: self.spec.to_json()?,
            metadata: metadata.to_owned(),
            step: self.step,
            seed: self.seed,
            tensors: self.tensors(self.states.states())?,
        };
        let bytes = encode(&checkpoint).map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        replace_file(path, &bytes).map_err(|source| NetworkError::Io { path: path.to_owned(), source })
    }

    /// Copies of states, with their paths and shapes.
    pub(crate) fn tensors<'s>(&self, states: impl Iterator<Item = &'s State>) -> Result<Vec<Tensor>, NetworkError> {
        let tensor = |state: &State| {
            Ok(Tensor { path: state.path.clone(), shape: state.shape.to_vec(), data: self.state(&state.path)? })
        };
        states.map(tensor).collect()
    }

    /// A network as it was saved, and the host's metadata.
    pub fn open(backend: B, path: &Path) -> Result<(Self, String), NetworkError> {
        let bytes = fs::read(path).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        let checkpoint = decode(&bytes).map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        let fail = |message: String| NetworkError::Checkpoint { path: path.to_owned(), message };
        let spec = GraphSpec::parse(&checkpoint.spec).map_err(|error| fail(error.to_string()))?;
        let (mut network, model) = Self::without_states(backend, spec, checkpoint.seed)?;
        network.step = checkpoint.step;
        // Before there is room for the states: a few bytes of spec can ask for any memory, and a file only has its own.
        let states = model.nodes().iter().filter_map(|node| match &node.op {
            Op::State(state) if state.kind != StateKind::Moment => Some(state),
            _ => None,
        });
        for State { path, shape, .. } in states {
            match checkpoint.tensors.iter().find(|tensor| tensor.path == *path) {
                Some(tensor) if tensor.shape == shape[..] => {}
                Some(tensor) => {
                    return Err(fail(format!("tensor '{path}' is {:?} where the graph has {shape}", tensor.shape)));
                }
                None => return Err(fail(format!("tensor '{path}' is missing"))),
            }
        }
        network.add_states(&model)?;
        network.add_states(&moments(&checkpoint.tensors)?)?;
        for tensor in &checkpoint.tensors {
            match network.states.meta(&tensor.path) {
                Some(meta) if meta.shape[..] == tensor.shape => network.set_state(&tensor.path, &tensor.data)?,
                Some(meta) => {
                    return Err(fail(format!(
                        "tensor '{}' is {:?} where the graph has {}",
                        tensor.path, tensor.shape, meta.shape
                    )));
                }
                None => return Err(fail(format!("tensor '{}' is no state of the graph", tensor.path))),
            }
        }
        Ok((network, checkpoint.metadata))
    }
}

/// The moments of a checkpoint as a graph of states: names that hold a `#`.
fn moments(tensors: &[Tensor]) -> Result<Graph, NetworkError> {
    let mut graph = Graph::new(1);
    for tensor in tensors.iter().filter(|t| t.path.contains('#')) {
        let state = State {
            path: tensor.path.clone(),
            shape: tensor.shape.clone().into(),
            kind: StateKind::Moment,
            init: Init::Constant(0.0),
            meaning: Meaning::F32,
        };
        graph.add(state, &[], "")?;
    }
    Ok(graph)
}
