//! A frozen network on a backend: it predicts and is shipped, and nothing about it ever changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, Layout, Run, StateTable, Storage, plan};
use binary_nets_formats::model::{Constant, Elements, Model};
use binary_nets_formats::onnx::{Form, export};
use binary_nets_formats::packed::{decode, encode};
use binary_nets_graph::passes::{Frozen, dce, fuse, per_image, precompute};
use binary_nets_graph::{Graph, GraphError, Op};

use crate::confusion::{classes, count};
use crate::frozen_program::FrozenProgram;
use crate::loaded::Loaded;
use crate::recent::Recent;
use crate::replace_file::replace_file;
use crate::workspace::Workspace;
use crate::{Confusion, LayerTime, NetworkError, Prediction};

/// A frozen network, from uint8 pixels to named outputs. What it predicts is, bit by bit, what the network predicted that it was frozen from, on every instruction set and with
/// any number of threads and images at a time.
pub struct FrozenNetwork<B: Backend> {
    backend: B,
    model: Arc<Model>,
    programs: Recent<FrozenProgram<B>>,
    workspace: Workspace<B>,
    cancel: Arc<AtomicBool>,
}

impl<B: Backend> FrozenNetwork<B> {
    /// Makes a model ready to run. Fails where [`Model::check`] does, where an image of a batch has a say in what another one yields, and where the backend cannot run it.
    pub fn new(backend: B, model: Model) -> Result<Self, NetworkError> {
        model.check()?;
        for batch in [2, 3] {
            per_image(&model.graph.graph(batch, &[])?)?;
        }
        let workspace = Workspace::new(&backend)?;
        let (model, programs) = (Arc::new(model), Recent::default());
        let mut network = Self { backend, model, programs, workspace, cancel: Arc::default() };
        let outputs = network.load(&[])?;
        network.programs.put(&[], outputs);
        Ok(network)
    }

    /// A frozen network from a packed file.
    pub fn open(backend: B, path: &Path) -> Result<Self, NetworkError> {
        let bytes = fs::read(path).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        let model = decode(&bytes).map_err(|error| NetworkError::from(error).in_file(path))?;
        // The file is not held beside what is made of it.
        drop(bytes);
        Self::new(backend, model).map_err(|error| error.in_file(path))
    }

    /// A frozen network from the bytes of a packed file.
    pub fn from_bytes(backend: B, bytes: &[u8]) -> Result<Self, NetworkError> {
        Self::new(backend, decode(bytes)?)
    }

    /// The bytes of a packed file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetworkError> {
        Ok(encode(&self.model)?)
    }

    /// Writes a packed file, whole or not at all; its size in bytes.
    pub fn save(&self, path: &Path) -> Result<usize, NetworkError> {
        let bytes = self.to_bytes().map_err(|error| error.in_file(path))?;
        replace_file(path, &bytes).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        Ok(bytes.len())
    }

    /// Writes an ONNX file, whole or not at all; its size in bytes.
    pub fn export_onnx(&self, path: &Path, form: Form) -> Result<usize, NetworkError> {
        let bytes =
            export(&self.model, form).map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        replace_file(path, &bytes).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        Ok(bytes.len())
    }

    /// What it is, as data.
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The backend.
    pub const fn backend(&self) -> &B {
        &self.backend
    }

    /// From now on the running call ends with [`binary_nets_exec::ExecError::Cancelled`] while this flag is set, and so does every later one. Whoever sets it clears it, or gives another one.
    pub fn set_cancel_flag(&mut self, flag: Arc<AtomicBool>) {
        self.cancel = flag;
    }

    /// The named outputs or layers for pixels `[n, h, w, c]` of `count` images; all outputs where none are named. Layers are those of [`Model::graph`].
    pub fn predict(&mut self, pixels: &[u8], count: usize, outputs: &[&str]) -> Result<Vec<Prediction>, NetworkError> {
        // All outputs by name are what runs where none are named.
        let outputs = if self.model.graph.outputs.keys().eq(outputs) { &[] } else { outputs };
        let mut program = match self.programs.take(outputs) {
            Some(program) => program,
            None => self.load(outputs)?,
        };
        let run = self.run_info();
        let result = program.run(&self.backend, &mut self.workspace, pixels, count, &run);
        self.programs.put(outputs, program);
        result
    }

    /// The times of the steps that yield the outputs for the pixels `[h, w, c]` of one image, each the best of `repeats` runs.
    pub fn profile(&mut self, pixels: &[u8], repeats: NonZero<usize>) -> Result<Vec<LayerTime>, NetworkError> {
        let program = match self.programs.take(&[]) {
            Some(program) => program,
            None => self.load(&[])?,
        };
        let run = self.run_info();
        let result = program.profile(&self.backend, &mut self.workspace, pixels, &run, repeats);
        self.programs.put(&[], program);
        result
    }

    /// Counts over one epoch of a loader, from where it stands, what the output `logits`, `[n, C]`, says. `labels` says which logit each of the data's classes has;
    /// without it they are in one order. Fails with [`NetworkError::NotANumber`] where a logit is NaN.
    pub fn evaluate(&mut self, loader: &mut Loader, labels: Option<&[u32]>) -> Result<Confusion, NetworkError> {
        let classes = classes(&self.model.graph.graph(1, &[])?)?;
        let cancel = Arc::clone(&self.cancel);
        count(loader, &cancel, classes, labels, |pixels, count| self.predict(pixels, count, &["logits"]))
    }

    /// The graph of its outputs as it runs: fused.
    pub fn fused(&self) -> Result<Graph, NetworkError> {
        Ok(fuse(&precompute(&graph(&self.model, &[])?)?.run)?)
    }

    /// The kernels that were chosen so far, each as `op: kernel`, sorted.
    pub fn kernels(&self) -> Vec<String> {
        let steps = self.programs.values().flat_map(FrozenProgram::loaded).flat_map(|loaded| loaded.program.steps());
        steps.map(|step| format!("{}: {}", step.op, step.kernel_name)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        let model: usize = self.model.constants.iter().map(|constant| size_of_val(&*bytes_of(constant))).sum();
        model + self.workspace.bytes + self.programs.values().map(FrozenProgram::bytes).sum::<usize>()
    }

    fn run_info(&self) -> Run {
        Run { cancel: Arc::clone(&self.cancel), ..Run::default() }
    }

    fn load(&mut self, outputs: &[&str]) -> Result<FrozenProgram<B>, NetworkError> {
        let Frozen { mut fold, run } = precompute(&graph(&self.model, outputs)?)?;
        let mut program = FrozenProgram::new(&self.backend, &run)?;
        let constants = self.model.constants.iter().map(|constant| (constant.path.as_str(), constant));
        let constants: BTreeMap<&str, &Constant> = constants.collect();

        // What the run graph reads as it is goes there at once; what is computed of constants takes a program.
        let mut computed = Vec::new();
        for (name, value) in fold.outputs() {
            match &fold.producer(*value).op {
                Op::State(state) => {
                    if let Some(constant) = constants.get(state.path.as_str()) {
                        program.write_constant(&self.backend, name, &bytes_of(constant));
                    }
                }
                _ => computed.push(name.clone()),
            }
        }
        if !computed.is_empty() {
            fold.retain_outputs(&computed.iter().map(String::as_str).collect::<Vec<_>>())?;
            let fold = dce(&fold)?;
            let mut states = StateTable::default();
            states.extend(&self.backend, &fold);
            let fold = Loaded::new(&self.backend, plan(&self.backend, &fold, &states, 1)?)?;
            let state = self.backend.allocate(fold.program.state_bytes())?;
            for constant in &self.model.constants {
                if let Some(address) = states.address(&constant.path) {
                    self.backend.write(&state, address, &bytes_of(constant));
                }
            }
            self.workspace.reserve(&self.backend, &fold)?;
            let memory = fold.memory(&state, &self.workspace);
            self.backend.prologue(&fold.program, &memory)?;
            fold.compute(&self.backend, &memory, &Run::default())?;
            program.take_constants(&self.backend, &fold, &memory);
        }
        program.prologue(&self.backend, &mut self.workspace)?;
        Ok(program)
    }
}

/// The graph of a model that yields the named outputs or layers for one image; all outputs where none are named.
fn graph(model: &Model, outputs: &[&str]) -> Result<Graph, GraphError> {
    let layers: Vec<&str> = outputs.iter().copied().filter(|name| !model.graph.outputs.contains_key(*name)).collect();
    let mut graph = model.graph.graph(1, &layers)?;
    if !outputs.is_empty() {
        graph.retain_outputs(outputs)?;
    }
    dce(&graph)
}

/// The elements of a constant as a backend takes them.
fn bytes_of(constant: &Constant) -> Cow<'_, [u8]> {
    match &constant.data {
        Elements::Bits(words) => Cow::Borrowed(bytemuck::cast_slice(words)),
        Elements::I16(integers) => match Layout::interchange(&constant.meta).storage {
            Storage::U8 => integers.iter().map(|&integer| integer as u8).collect(),
            _ => Cow::Borrowed(bytemuck::cast_slice(integers)),
        },
        Elements::F16(floats) | Elements::F32(floats) => Cow::Borrowed(bytemuck::cast_slice(floats)),
    }
}
