//! Evaluation: the frozen network, then the objective on its outputs.

use std::collections::BTreeMap;

use binary_nets_data::Loader;
use binary_nets_exec::Backend;
use binary_nets_graph::ops::Input;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, passes::dce};

use crate::loaded::{Loaded, read};
use crate::{Network, NetworkError, Prediction, TensorView};

/// What an evaluation yields.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evaluation {
    /// How many samples there were.
    pub samples: usize,
    /// The mean loss of a sample.
    pub loss: f64,
    /// The sums of the objective's other outputs, by name: counts over all samples.
    pub sums: BTreeMap<String, f64>,
}

/// Objectives that were planned, by batch size.
pub(crate) struct Objectives<B: Backend> {
    spec: Option<GraphSpec>,
    programs: BTreeMap<usize, Loaded<B>>,
}

impl<B: Backend> Objectives<B> {
    /// All programs.
    pub fn loaded(&self) -> impl Iterator<Item = &Loaded<B>> {
        self.programs.values()
    }
}

impl<B: Backend> Default for Objectives<B> {
    fn default() -> Self {
        Self { spec: None, programs: BTreeMap::new() }
    }
}

impl<B: Backend> Network<B> {
    /// Evaluates one epoch of a loader, from where it stands, with the frozen network.
    pub fn evaluate(&mut self, loader: &mut Loader, objective: &GraphSpec) -> Result<Evaluation, NetworkError> {
        let mut evaluation = Evaluation::default();
        while let Some(batch) = loader.next_batch()? {
            let n = batch.len();
            let outputs = self.predict_frozen(&batch.images, n, &[])?;
            for (name, value) in self.objective(objective, &outputs, &batch.labels, n)? {
                if name == "loss" {
                    evaluation.loss += f64::from(value) * n as f64;
                } else {
                    *evaluation.sums.entry(name).or_default() += f64::from(value);
                }
            }
            evaluation.samples += n;
        }
        if evaluation.samples > 0 {
            evaluation.loss /= evaluation.samples as f64;
        }
        Ok(evaluation)
    }

    /// The objective's outputs for the outputs of a batch.
    fn objective(
        &mut self,
        objective: &GraphSpec,
        outputs: &[Prediction],
        labels: &[u32],
        samples: usize,
    ) -> Result<Vec<(String, f32)>, NetworkError> {
        if self.objectives.spec.as_ref() != Some(objective) {
            self.objectives = Objectives { spec: Some(objective.clone()), programs: BTreeMap::new() };
        }
        if !self.objectives.programs.contains_key(&samples) {
            let graph = self.objective_graph(objective, samples)?;
            let loaded = self.load(&graph)?;
            self.objectives.programs.insert(samples, loaded);
        }
        let Some(loaded) = self.objectives.programs.get(&samples) else { return Ok(Vec::new()) };
        let mut tensors: Vec<(&str, TensorView)> =
            outputs.iter().map(|p| (p.name.as_str(), TensorView::F32(&p.data))).collect();
        tensors.push(("label", TensorView::U32(labels)));
        tensors.retain(|(name, _)| loaded.has_input(name));
        let memory = loaded.memory(&self.state, &self.workspace);
        loaded.write(&self.backend, &tensors, &[], samples)?;
        loaded.compute(&self.backend, &memory, &self.run_info())?;
        Ok(loaded.program.outputs().iter().map(|b| (b.name.clone(), read(&self.backend, &memory, b, 0)[0])).collect())
    }

    /// The objective alone; the model's outputs are its inputs, of the shapes that the model gives them.
    fn objective_graph(&self, objective: &GraphSpec, batch: usize) -> Result<Graph, NetworkError> {
        let model = self.model(batch, &[])?;
        let mut graph = Graph::new(batch);
        let mut given = BTreeMap::new();
        for (name, value) in model.outputs() {
            let meta = model.meta(*value);
            let input = Input { name: name.clone(), shape: meta.shape[1..].into(), meaning: meta.meaning };
            given.insert(name.clone(), graph.add_one(input, &[], "")?);
        }
        for (name, value) in objective.inline(&mut graph, &given)?.outputs {
            graph.set_output(&name, value);
        }
        Ok(dce(&graph)?)
    }
}
