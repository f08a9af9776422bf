//! Evaluation: the frozen network, then the objective on its outputs.

use std::collections::BTreeMap;

use binary_nets_data::{Loader, Samples};
use binary_nets_exec::Backend;
use binary_nets_graph::spec::GraphSpec;

use crate::batch::{check_targets, tensors};
use crate::loaded::{Loaded, read};
use crate::teacher::taught;
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
        check_targets(objective.nodes.iter().map(|node| &node.op), loader.dataset())?;
        while let Some(batch) = self.next_batch(loader)? {
            let n = batch.len();
            let outputs = self.predict(&batch.images, n, &[])?;
            for (name, value) in self.objective(objective, &outputs, &batch)? {
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
        batch: &Samples,
    ) -> Result<Vec<(String, f32)>, NetworkError> {
        let samples = batch.len();
        if self.objectives.spec.as_ref() != Some(objective) {
            self.objectives = Objectives { spec: Some(objective.clone()), programs: BTreeMap::new() };
        }
        if !self.objectives.programs.contains_key(&samples) {
            let graph = self.objective_graph(objective, samples)?;
            let loaded = self.load(&graph)?;
            self.objectives.programs.insert(samples, loaded);
        }
        let asked = self.objectives.programs.get(&samples).map(taught).unwrap_or_default();
        let image = self.image_name()?.to_owned();
        let given = tensors(&image, batch);
        let taught = self.teach(&asked, &given, samples)?;
        let Some(loaded) = self.objectives.programs.get(&samples) else { return Ok(Vec::new()) };
        let predicted = outputs.iter().chain(&taught).map(|p| (p.name.as_str(), TensorView::F32(&p.data)));
        // An output of the model may be called as the batch's tensors are; the objective then means the output.
        let tensors: Vec<(&str, TensorView)> = predicted.chain(given).collect();
        let memory = loaded.memory(&self.state, &self.workspace);
        loaded.write(&self.backend, &tensors, &[], samples)?;
        loaded.compute(&self.backend, &memory, &self.run_info())?;
        Ok(loaded.program.outputs().iter().map(|b| (b.name.clone(), read(&self.backend, &memory, b, 0)[0])).collect())
    }
}
