//! A frozen graph that is ready to run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZero;

use binary_nets_exec::{Backend, Memory, Run, StateTable, plan, profile};
use binary_nets_graph::passes::fuse;
use binary_nets_graph::{Graph, Op};

use crate::layer_times::layer_times;
use crate::loaded::Loaded;
use crate::workspace::Workspace;
use crate::{LayerTime, NetworkError, Prediction, TensorView};

/// The most images that one submission takes.
const MOST_IMAGES: usize = 64;

/// The fused run graph of a frozen network, its constants in memory, and its programs, which are planned for one image and repeated.
pub(crate) struct FrozenProgram<B: Backend> {
    graph: Graph,
    image: String,
    constants: StateTable,
    state: B::Buffer,
    state_bytes: usize,
    /// The bytes of the states that were given back.
    released: usize,
    /// By the number of images in a submission. That of one image is always there; the prologues of all are the same and lie at the same place.
    programs: BTreeMap<usize, Loaded<B>>,
}

impl<B: Backend> FrozenProgram<B> {
    /// Fuses and plans a run graph; its constants are still to be taken.
    pub fn new(backend: &B, run: &Graph) -> Result<Self, NetworkError> {
        let graph = fuse(run)?;
        let image = graph.nodes().iter().find_map(|node| match &node.op {
            Op::Input(input) => Some(input.name.clone()),
            _ => None,
        });
        let image = image.ok_or_else(|| NetworkError::Argument("the outputs do not depend on the image".to_owned()))?;
        let mut constants = StateTable::default();
        constants.extend(backend, &graph);
        let program = plan(backend, &graph, &constants, 1)?;
        let state_bytes = program.state_bytes();
        let state = backend.allocate(state_bytes)?;
        let programs = BTreeMap::from([(1, Loaded::new(backend, program)?)]);
        Ok(Self { graph, image, constants, state, state_bytes, released: 0, programs })
    }

    /// Writes a constant, in the backend's interchange type; one that the graph does not have is passed over.
    pub fn write_constant(&self, backend: &B, path: &str, bytes: &[u8]) {
        if let Some(address) = self.constants.address(path) {
            backend.write(&self.state, address, bytes);
        }
    }

    /// Copies the outputs of a fold program, which has run.
    pub fn take_constants(&self, backend: &B, fold: &Loaded<B>, memory: &Memory<B::Buffer>) {
        for binding in fold.program.outputs() {
            let mut bytes = vec![0; binding.address.bytes];
            backend.read(memory.region(binding.address.region), binding.address, &mut bytes);
            self.write_constant(backend, &binding.name, &bytes);
        }
    }

    /// Does the prologues, and gives the memory of what nothing else reads back; all constants were written.
    pub fn prologue(&mut self, backend: &B, workspace: &mut Workspace<B>) -> Result<(), NetworkError> {
        let loaded = &self.programs[&1];
        workspace.reserve(backend, loaded)?;
        backend.prologue(&loaded.program, &loaded.memory(&self.state, workspace))?;
        self.released =
            loaded.program.consumed().into_iter().map(|constant| backend.release(&self.state, constant)).sum();
        Ok(())
    }

    /// The named outputs for pixels `[n, h, w, c]` of `count` images.
    pub fn run(
        &mut self,
        backend: &B,
        workspace: &mut Workspace<B>,
        pixels: &[u8],
        count: usize,
        run: &Run,
    ) -> Result<Vec<Prediction>, NetworkError> {
        if count == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(count) {
            return Err(NetworkError::Argument(format!("{} pixels are not {count} images", pixels.len())));
        }
        let per = pixels.len() / count;
        let mut all: Vec<Prediction> = Vec::new();
        for pixels in pixels.chunks(MOST_IMAGES * per) {
            let part = self.submit(backend, workspace, pixels, pixels.len() / per, run)?;
            if all.is_empty() {
                all = part;
            } else {
                for (whole, part) in all.iter_mut().zip(part) {
                    whole.shape[0] += part.shape[0];
                    whole.data.extend(part.data);
                }
            }
        }
        Ok(all)
    }

    /// The named outputs of at most [`MOST_IMAGES`] images, by the least program that takes them.
    fn submit(
        &mut self,
        backend: &B,
        workspace: &mut Workspace<B>,
        pixels: &[u8],
        count: usize,
        run: &Run,
    ) -> Result<Vec<Prediction>, NetworkError> {
        let loaded = match self.programs.entry(count.next_power_of_two()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let program = plan(backend, &self.graph, &self.constants, *entry.key())?;
                entry.insert(Loaded::new(backend, program)?)
            }
        };
        workspace.reserve(backend, loaded)?;
        let memory = loaded.memory(&self.state, workspace);
        loaded.write(backend, &[(&self.image, TensorView::U8(pixels))], &[], count)?;
        loaded.compute(backend, &memory, run)?;
        Ok(loaded.predictions(backend, &memory, count))
    }

    /// The times of the steps for one image, each the best of `repeats` runs.
    pub fn profile(
        &self,
        backend: &B,
        workspace: &mut Workspace<B>,
        pixels: &[u8],
        run: &Run,
        repeats: NonZero<usize>,
    ) -> Result<Vec<LayerTime>, NetworkError> {
        let loaded = &self.programs[&1];
        workspace.reserve(backend, loaded)?;
        let memory = loaded.memory(&self.state, workspace);
        loaded.write(backend, &[(&self.image, TensorView::U8(pixels))], &[], 1)?;
        let times = profile(backend, &loaded.program, &memory, run, repeats)?;
        Ok(layer_times(backend, &self.graph, loaded.program.steps(), times))
    }

    /// Its programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.programs.values()
    }

    /// The memory of constants and of the regions of the programs, in bytes.
    pub fn bytes(&self) -> usize {
        self.state_bytes - self.released + self.loaded().map(Loaded::region_bytes).sum::<usize>()
    }
}
