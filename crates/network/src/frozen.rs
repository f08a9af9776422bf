//! The frozen network in memory: what evaluates and predicts.

use std::collections::BTreeMap;

use binary_nets_exec::{Backend, Program, StateTable, plan};
use binary_nets_graph::Graph;
use binary_nets_graph::passes::fuse;

use crate::loaded::Loaded;
use crate::{Network, NetworkError, Prediction, TensorView};

/// The most images that one submission takes.
const MOST_IMAGES: usize = 64;

/// Constants folded from a network's states, and the program that reads them, planned for one image.
pub(crate) struct FrozenNetwork<B: Backend> {
    fold: Loaded<B>,
    run: Graph,
    constants: StateTable,
    state: B::Buffer,
    pub state_bytes: usize,
    /// By the number of images in a submission.
    programs: BTreeMap<usize, Loaded<B>>,
    /// The version of the states that the constants were folded from.
    version: Option<u64>,
}

impl<B: Backend> FrozenNetwork<B> {
    /// Its programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.programs.values().chain([&self.fold])
    }

    /// Folds the constants anew and does the programs' prologues.
    fn refold(&mut self, network: &Network<B>) -> Result<(), NetworkError> {
        let backend = &network.backend;
        let memory = self.fold.memory(&network.state, &network.workspace);
        self.fold.compute(backend, &memory, &network.run_info())?;
        for binding in self.fold.program.outputs() {
            let mut bytes = vec![0; binding.address.bytes];
            backend.read(memory.region(binding.address.region), binding.address, &mut bytes);
            if let Some(address) = self.constants.address(&binding.name) {
                backend.write(&self.state, address, &bytes);
            }
        }
        for loaded in self.programs.values() {
            backend.prologue(&loaded.program, &loaded.memory(&self.state, &network.workspace))?;
        }
        self.version = Some(network.version);
        Ok(())
    }
}

impl<B: Backend> Network<B> {
    /// The named outputs or layers of the frozen network for pixels `[n, h, w, c]` of `count` images; the model's outputs where none are named.
    pub fn predict(&mut self, pixels: &[u8], count: usize, outputs: &[&str]) -> Result<Vec<Prediction>, NetworkError> {
        if count == 0 || !pixels.len().is_multiple_of(count) {
            return Err(NetworkError::Argument(format!("{} pixels are not {count} images", pixels.len())));
        }
        let key: Vec<String> = outputs.iter().map(|&name| name.to_owned()).collect();
        let mut frozen = match self.frozen.remove(&key) {
            Some(frozen) => frozen,
            None => self.load_frozen(outputs)?,
        };
        let result = self.run_frozen(&mut frozen, pixels, count);
        self.frozen.insert(key, frozen);
        result
    }

    fn load_frozen(&mut self, outputs: &[&str]) -> Result<FrozenNetwork<B>, NetworkError> {
        let graphs = self.frozen_graphs(outputs)?;
        let fold = self.load(&graphs.fold)?;
        let mut constants = StateTable::default();
        constants.extend(&self.backend, &graphs.run);
        let state = self.backend.allocate(0)?;
        Ok(FrozenNetwork {
            fold,
            run: graphs.run,
            constants,
            state,
            state_bytes: 0,
            programs: BTreeMap::new(),
            version: None,
        })
    }

    fn run_frozen(
        &mut self,
        frozen: &mut FrozenNetwork<B>,
        pixels: &[u8],
        count: usize,
    ) -> Result<Vec<Prediction>, NetworkError> {
        let image = self.image_name()?.to_owned();
        let per = pixels.len() / count;
        let repeat = count.next_power_of_two().min(MOST_IMAGES);
        if !frozen.programs.contains_key(&repeat) {
            frozen.version = None;
            let program: Program<B::Kernel> = plan(&self.backend, &fuse(&frozen.run)?, &frozen.constants, repeat)?;
            if program.state_bytes() > frozen.state_bytes {
                frozen.state = self.backend.allocate(program.state_bytes())?;
                frozen.state_bytes = program.state_bytes();
            }
            let loaded = Loaded::new(&self.backend, program)?;
            self.reserve(&loaded)?;
            frozen.programs.insert(repeat, loaded);
        }
        if frozen.version != Some(self.version) {
            frozen.refold(self)?;
        }
        let Some(loaded) = frozen.programs.get(&repeat) else { return Ok(Vec::new()) };
        let memory = loaded.memory(&frozen.state, &self.workspace);
        let mut all: Vec<Prediction> = Vec::new();
        for start in (0..count).step_by(repeat) {
            let n = repeat.min(count - start);
            let pixels = TensorView::U8(&pixels[start * per..(start + n) * per]);
            loaded.write(&self.backend, &[(&image, pixels)], &[], n)?;
            loaded.compute(&self.backend, &memory, &self.run_info())?;
            let part = loaded.predictions(&self.backend, &memory, n);
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
}
