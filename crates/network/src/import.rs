//! Frozen networks from ONNX files.

use std::fs;
use std::path::Path;

use binary_nets_exec::Backend;
use binary_nets_formats::model::Normalize;
use binary_nets_formats::onnx::import;

use crate::{Floats, FrozenNetwork, Network, NetworkError};

impl<B: Backend + Clone> FrozenNetwork<B> {
    /// A frozen network from an ONNX file. What a graph that takes floats was given for pixels is what `normalize` says, or else the file.
    ///
    /// The graph is read as a network that could be evaluated, with the file's tensors as its states, and then frozen like any other.
    pub fn import_onnx(backend: B, path: &Path, normalize: Option<Normalize>) -> Result<Self, NetworkError> {
        let bytes = fs::read(path).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        Self::import_onnx_bytes(backend, &bytes, normalize).map_err(|error| error.in_file(path))
    }

    /// As [`Self::import_onnx`], from the bytes of the file.
    pub fn import_onnx_bytes(backend: B, bytes: &[u8], normalize: Option<Normalize>) -> Result<Self, NetworkError> {
        let imported = import(bytes, normalize)?;
        let mut network = Network::new(backend.clone(), imported.spec, 0)?;
        for state in &imported.states {
            network.set_state(&state.path, &state.data)?;
        }
        let model = network.freeze(Floats::F32, imported.metadata)?;
        Self::new(backend, model)
    }
}
