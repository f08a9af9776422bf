//! The frozen network of a network that still trains: what evaluates and predicts, and what is shipped.

use binary_nets_data::Loader;
use binary_nets_exec::{Backend, Binding, ExecError};
use binary_nets_formats::model::{Constant, Elements, Metadata, Model, Normalize};
use binary_nets_graph::ops::Surrogate;
use binary_nets_graph::passes::{Ends, Floats, Freezing, Frozen, dce, evaluation, freeze_with};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Meaning, Node, Op, Value};

use crate::frozen_program::FrozenProgram;
use crate::loaded::Loaded;
use crate::{Network, NetworkError, Prediction};

/// A frozen program, and the one that folds its constants from a network's states.
pub(crate) struct Folded<B: Backend> {
    fold: Loaded<B>,
    run: FrozenProgram<B>,
    /// The version of the states that the constants were folded from.
    version: Option<u64>,
}

impl<B: Backend> Folded<B> {
    /// Its programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.run.loaded().chain([&self.fold])
    }

    /// The memory of constants and of the regions of the programs, in bytes.
    pub fn bytes(&self) -> usize {
        self.run.bytes() + self.fold.region_bytes()
    }
}

impl<B: Backend> Network<B> {
    /// The named outputs or layers of the frozen network for pixels `[n, h, w, c]` of `count` images; the model's outputs where none are named.
    pub fn predict(&mut self, pixels: &[u8], count: usize, outputs: &[&str]) -> Result<Vec<Prediction>, NetworkError> {
        let mut folded = match self.frozen.take(outputs) {
            Some(folded) => folded,
            None => self.folded(&self.frozen_graphs(outputs)?)?,
        };
        let result = self.run_frozen(&mut folded, pixels, count);
        self.frozen.put(outputs, folded);
        result
    }

    /// The programs of a frozen graph; constants are folded when it runs.
    pub(crate) fn folded(&mut self, Frozen { fold, run }: &Frozen) -> Result<Folded<B>, NetworkError> {
        Ok(Folded { fold: self.load(fold)?, run: FrozenProgram::new(&self.backend, run)?, version: None })
    }

    /// What a frozen graph yields for pixels, with the states as they are.
    pub(crate) fn run_frozen(
        &mut self,
        folded: &mut Folded<B>,
        pixels: &[u8],
        count: usize,
    ) -> Result<Vec<Prediction>, NetworkError> {
        let run = self.run_info();
        if folded.version != Some(self.version) {
            folded.version = None;
            let memory = folded.fold.memory(&self.state, &self.workspace);
            folded.fold.compute(&self.backend, &memory, &run)?;
            folded.run.take_constants(&self.backend, &folded.fold, &memory);
            folded.run.prologue(&self.backend, &mut self.workspace)?;
            folded.version = Some(self.version);
        }
        folded.run.run(&self.backend, &mut self.workspace, pixels, count, &run)
    }

    /// The network as it is now, frozen, as data: the run graph, and the constants that are folded from the states, with the weights of float products kept as `floats` says; those that are to be rounded are refused
    /// where they are NaN or out of reach. Layers of the model that freezing leaves as they are can be asked
    /// for by name. Where `metadata` has no normalisation, that of the model is taken.
    pub fn freeze(&mut self, floats: Floats, metadata: Metadata) -> Result<Model, NetworkError> {
        self.freeze_ends(floats, None, metadata)
    }

    /// As [`Self::freeze`], with the products of float maps in integers of 8 bits (see [`Ends::Int8`]): the maps' ranges are those that they have over one epoch of `images`, from where it stands.
    pub fn freeze_int8(
        &mut self,
        floats: Floats,
        images: &mut Loader,
        metadata: Metadata,
    ) -> Result<Model, NetworkError> {
        self.freeze_ends(floats, Some(images), metadata)
    }

    fn freeze_ends(
        &mut self,
        floats: Floats,
        calibration: Option<&mut Loader>,
        metadata: Metadata,
    ) -> Result<Model, NetworkError> {
        let names = self.spec.layers.keys().filter(|&name| !self.spec.outputs.contains_key(name));
        let layers: Vec<String> = names.cloned().collect();
        let asked: Vec<&str> = layers.iter().map(String::as_str).collect();
        let source = dce(&evaluation(&self.model(1, &asked)?)?)?;
        let ends = match calibration {
            None => Ends::F32,
            Some(images) => Ends::Int8(self.ranges(&source, images)?),
        };
        let freezing = Freezing { floats, ends, layers };
        let Frozen { mut fold, run } = freeze_with(&source, &freezing)?;

        let mut graph = GraphSpec::of(&dce(&run)?);
        for name in &freezing.layers {
            graph.layers.extend(graph.outputs.remove_entry(name));
        }
        let mut paths = Vec::new();
        for node in &mut graph.nodes {
            match &mut node.op {
                Op::State(state) => paths.push(state.path.clone()),
                // What is frozen does not learn.
                Op::Sign(sign) => sign.gradient = Surrogate::Identity,
                Op::Step(step) => step.gradient = Surrogate::Identity,
                _ => {}
            }
        }
        fold.retain_outputs(&paths.iter().map(String::as_str).collect::<Vec<_>>())?;
        let model = Model { graph, constants: self.constants(&dce(&fold)?)?, metadata: self.with_normalize(metadata) };
        model.check()?;
        Ok(model)
    }

    /// What a fold graph yields.
    fn constants(&mut self, graph: &Graph) -> Result<Vec<Constant>, NetworkError> {
        let fold = self.load(graph)?;
        let memory = fold.memory(&self.state, &self.workspace);
        fold.compute(&self.backend, &memory, &self.run_info())?;
        let constant = |(binding, (_, value)): (&Binding, &(String, Value))| {
            let mut bytes = vec![0; binding.address.bytes];
            self.backend.read(memory.region(binding.address.region), binding.address, &mut bytes);
            let data = match binding.meta.meaning {
                Meaning::Bit { .. } => {
                    Elements::Bits(bytes.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b)).collect())
                }
                Meaning::F32 => {
                    let floats: Vec<f32> = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
                    let producer = graph.producer(*value);
                    let rounded = match &producer.op {
                        Op::RoundHalf(_) | Op::QuantizeWeight(_) => true,
                        Op::FoldStem(fold) => fold.largest == 127,
                        _ => false,
                    };
                    if rounded && floats.iter().any(|float| !float.is_finite()) {
                        return Err(not_rounded(graph, producer, &floats));
                    }
                    if matches!(producer.op, Op::RoundHalf(_)) { Elements::F16(floats) } else { Elements::F32(floats) }
                }
                Meaning::Int { .. } if bytes.len() == 2 * binding.meta.shape.elements() => {
                    Elements::I16(bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b)).collect())
                }
                Meaning::Int { .. } | Meaning::Index { .. } => {
                    let what = format!("constant '{}' is {}, which no frozen network has", binding.name, binding.meta);
                    return Err(ExecError::Plan(what).into());
                }
            };
            Ok(Constant { path: binding.name.clone(), meta: binding.meta.clone(), data })
        };
        fold.program.outputs().iter().zip(graph.outputs()).map(constant).collect()
    }

    /// Metadata with the normalisation of the model's image, if there is one that says nothing else.
    fn with_normalize(&self, mut metadata: Metadata) -> Metadata {
        let mut normalizations = self.spec.nodes.iter().filter_map(|node| match &node.op {
            Op::NormalizeImage(op) => Some(Normalize { mean: op.mean.clone(), std: op.std.clone() }),
            _ => None,
        });
        if let (None, Some(only), None) = (&metadata.normalize, normalizations.next(), normalizations.next()) {
            metadata.normalize = Some(only);
        }
        metadata
    }
}

/// What is wrong with weights that come out of rounding, or whose scales do, as numbers that are not finite.
fn not_rounded(graph: &Graph, rounding: &Node, floats: &[f32]) -> NetworkError {
    let mut weights = graph.producer(rounding.inputs[0]);
    // The matrix of a product is the kernel of a convolution.
    while let Op::Reshape(_) | Op::Transpose(_) = weights.op {
        weights = graph.producer(weights.inputs[0]);
    }
    let name = if let Op::State(state) = &weights.op { &state.path } else { &weights.path };
    let what = if floats.iter().any(|float| float.is_nan()) {
        "has numbers that are NaN, which fewer bits have no place for"
    } else if matches!(rounding.op, Op::RoundHalf(_)) {
        "has numbers that 16-bit floats do not reach"
    } else {
        "has infinite numbers, which 8 bits do not reach"
    };
    NetworkError::Argument(format!("'{name}' {what}"))
}
