//! A frozen graph that is ready to run.

use std::collections::BTreeMap;

use binary_nets_exec::{Backend, Memory, Run, StateTable, plan};
use binary_nets_graph::passes::fuse;
use binary_nets_graph::{Graph, Op};

use crate::loaded::Loaded;
use crate::workspace::Workspace;
use crate::{NetworkError, Prediction, TensorView};

/// The most images that one submission takes.
const MOST_IMAGES: usize = 64;

/// The fused run graph of a frozen network, its constants in memory, and its programs, which are planned for one image and repeated.
pub(crate) struct FrozenProgram<B: Backend> {
    graph: Graph,
    image: String,
    constants: StateTable,
    state: B::Buffer,
    state_bytes: usize,
    /// By the number of images in a submission. That of one image is always there; the prologues of all are the same and lie at the same place.
    programs: BTreeMap<usize, Loaded<B>>,
}

impl<B: Backend> FrozenProgram<B> {
    /// Fuses and plans a run graph; its constants are still to be taken.
    pub fn new(backend: &B, graph: &Graph) -> Result<Self, NetworkError> {
        let graph = fuse(graph)?;
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
        Ok(Self { graph, image, constants, state, state_bytes, programs })
    }

    /// Copies the outputs of a fold program, which has run, and does the prologues.
    pub fn take_constants(
        &mut self,
        backend: &B,
        fold: &Loaded<B>,
        memory: &Memory<B::Buffer>,
        workspace: &mut Workspace<B>,
    ) -> Result<(), NetworkError> {
        for binding in fold.program.outputs() {
            let mut bytes = vec![0; binding.address.bytes];
            backend.read(memory.region(binding.address.region), binding.address, &mut bytes);
            if let Some(address) = self.constants.address(&binding.name) {
                backend.write(&self.state, address, &bytes);
            }
        }
        if let Some(loaded) = self.programs.get(&1) {
            workspace.reserve(backend, loaded)?;
            backend.prologue(&loaded.program, &loaded.memory(&self.state, workspace))?;
        }
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
        if count == 0 || !pixels.len().is_multiple_of(count) {
            return Err(NetworkError::Argument(format!("{} pixels are not {count} images", pixels.len())));
        }
        let per = pixels.len() / count;
        let repeat = count.next_power_of_two().min(MOST_IMAGES);
        if !self.programs.contains_key(&repeat) {
            let loaded = Loaded::new(backend, plan(backend, &self.graph, &self.constants, repeat)?)?;
            self.programs.insert(repeat, loaded);
        }
        let Some(loaded) = self.programs.get(&repeat) else { return Ok(Vec::new()) };
        workspace.reserve(backend, loaded)?;
        let memory = loaded.memory(&self.state, workspace);
        let mut all: Vec<Prediction> = Vec::new();
        for start in (0..count).step_by(repeat) {
            let n = repeat.min(count - start);
            let pixels = TensorView::U8(&pixels[start * per..(start + n) * per]);
            loaded.write(backend, &[(&self.image, pixels)], &[], n)?;
            loaded.compute(backend, &memory, run)?;
            let part = loaded.predictions(backend, &memory, n);
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

    /// Its programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.programs.values()
    }

    /// The memory of constants and of the regions of the programs, in bytes.
    pub fn bytes(&self) -> usize {
        self.state_bytes + self.loaded().map(Loaded::region_bytes).sum::<usize>()
    }
}
