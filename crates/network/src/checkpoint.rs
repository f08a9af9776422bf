//! Saving and loading.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use binary_nets_exec::Backend;
use binary_nets_formats::checkpoint::{Checkpoint, CheckpointTensor, decode, encode};
use binary_nets_graph::ops::{State, StateKind};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Init, Meaning};

use crate::{Network, NetworkError};

impl<B: Backend> Network<B> {
    /// Writes everything that the network is: spec, states, moments, step and seed, and the host's own `metadata`. The file is written beside
    /// and renamed, so a crash leaves the old one whole.
    pub fn save(&self, path: &Path, metadata: &str) -> Result<(), NetworkError> {
        let tensor = |state: &State| {
            Ok(CheckpointTensor {
                path: state.path.clone(),
                shape: state.shape.to_vec(),
                data: self.state(&state.path)?,
            })
        };
        let checkpoint = Checkpoint {
            spec: self.spec.to_json()?,
            metadata: metadata.to_owned(),
            step: self.step,
            seed: self.seed,
            tensors: self.states.states().map(tensor).collect::<Result<_, NetworkError>>()?,
        };
        let bytes = encode(&checkpoint).map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        replace_file(path, &bytes).map_err(|source| NetworkError::Io { path: path.to_owned(), source })
    }

    /// A network as it was saved, and the host's metadata.
    pub fn open(backend: B, path: &Path) -> Result<(Self, String), NetworkError> {
        let bytes = fs::read(path).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        let checkpoint = decode(&bytes).map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        let fail = |message: String| NetworkError::Checkpoint { path: path.to_owned(), message };
        let spec = GraphSpec::parse(&checkpoint.spec).map_err(|error| fail(error.to_string()))?;
        let mut network = Self::new(backend, spec, checkpoint.seed)?;
        network.step = checkpoint.step;
        if let Some(state) = network.states().find(|s| !checkpoint.tensors.iter().any(|t| t.path == s.path)) {
            return Err(fail(format!("tensor '{}' is missing", state.path)));
        }
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
fn moments(tensors: &[CheckpointTensor]) -> Result<Graph, NetworkError> {
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

/// Files that this process has written so far: two saves to one place at the same time write different files beside it.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes a file beside its place and renames it.
fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let beside = folder.join(format!(".{name}.{}.{number}.part", std::process::id()));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        // The error that is reported is the first one.
        let _ = fs::remove_file(&beside);
    }
    renamed
}
