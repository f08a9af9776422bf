//! A network that another one learns from (knowledge distillation, Hinton, Vinyals and Dean 2015).

use binary_nets_exec::Backend;
use binary_nets_graph::ops::Input;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Meaning, Value};

use crate::evaluate::Objectives;
use crate::loaded::Loaded;
use crate::objective::inputs;
use crate::train::Trainer;
use crate::{NamedTensors, Network, NetworkError, Prediction, TensorView};

/// What the names of an objective's inputs start with that are the teacher's outputs.
const TEACHER: &str = "teacher.";

impl<B: Backend> Network<B> {
    /// Gives the network a teacher, or takes it away. An objective's inputs `teacher.<output>` are what the teacher's frozen program yields for the very
    /// images of the batch, in training and in evaluation; no gradient goes there. Fails, and keeps the teacher of before, where the
    /// new one takes images of another size. A compiled step, and what it has accumulated, is dropped where it takes outputs that the new teacher does not
    /// have, or has in other shapes. The teacher is no part of what is saved.
    pub fn set_teacher(&mut self, teacher: Option<Self>) -> Result<(), NetworkError> {
        let teacher = match teacher {
            None => None,
            Some(mut teacher) => {
                let (its, own) = (&teacher.image()?.shape, &self.image()?.shape);
                if its != own {
                    let message = format!("the teacher takes images {its}, the network {own}");
                    return Err(NetworkError::Argument(message));
                }
                // Nothing but its predictions is wanted of it, and they end with the call that asks for them.
                (teacher.trainer, teacher.teacher) = (None, None);
                teacher.cancel = self.cancel_flag();
                Some(Box::new(teacher))
            }
        };
        let suits = match &teacher {
            Some(teacher) => self.is_taught_alike(&teacher.model(1, &[])?),
            None => true,
        };
        self.teacher = teacher;
        // They have the shapes of the teacher of before.
        self.objectives = Objectives::default();
        if suits { Ok(()) } else { self.drop_trainer() }
    }

    /// Whether the compiled step, if there is one, takes of a teacher what this model yields.
    fn is_taught_alike(&self, teacher: &Graph) -> bool {
        let inputs = self.trainer.iter().flat_map(Trainer::loaded).flat_map(|loaded| loaded.program.inputs());
        let mut taught = inputs.filter_map(|binding| Some((binding.name.strip_prefix(TEACHER)?, &binding.meta.shape)));
        taught.all(|(output, shape)| {
            let same = |value| teacher.meta(value).shape[1..] == shape[1..];
            teacher.outputs().iter().any(|(name, value)| name == output && same(*value))
        })
    }

    /// The teacher.
    pub fn teacher(&self) -> Option<&Self> {
        self.teacher.as_deref()
    }

    /// Adds the inputs of an objective that are the teacher's outputs to a graph, of the shapes that the teacher gives them.
    pub(crate) fn teacher_inputs(
        &self,
        graph: &mut Graph,
        objective: &GraphSpec,
    ) -> Result<Vec<(String, Value)>, NetworkError> {
        let mut given = Vec::new();
        let mut model = None;
        for input in inputs(objective) {
            let Some(output) = input.name.strip_prefix(TEACHER) else { continue };
            let teacher = self.taught_by(&input.name)?;
            let model = match &model {
                Some(model) => model,
                None => model.insert(teacher.model(1, &[])?),
            };
            let Some((_, value)) = model.outputs().iter().find(|(name, _)| *name == output) else {
                let known: Vec<&str> = model.outputs().iter().map(|(name, _)| name.as_str()).collect();
                let message =
                    format!("the objective takes '{}', the teacher's outputs are {}", input.name, known.join(", "));
                return Err(NetworkError::Argument(message));
            };
            if given.iter().all(|(name, _)| *name != input.name) {
                let shape = model.meta(*value).shape[1..].into();
                let node = Input { name: input.name.clone(), shape, meaning: Meaning::F32 };
                given.push((input.name.clone(), graph.add_one(node, &[], "")?));
            }
        }
        Ok(given)
    }

    /// What the teacher says of a batch, for the inputs of a program that are its outputs; nothing where there is none of them. `tensors` has the images.
    pub(crate) fn teach(
        &mut self,
        inputs: &[String],
        tensors: &NamedTensors,
        samples: usize,
    ) -> Result<Vec<Prediction>, NetworkError> {
        let Some(first) = inputs.first() else { return Ok(Vec::new()) };
        self.taught_by(first)?;
        let image = self.image_name()?;
        let pixels = tensors.iter().find_map(|(name, tensor)| match tensor {
            TensorView::U8(pixels) if *name == image => Some(*pixels),
            _ => None,
        });
        // Without images the program says what it lacks.
        let (Some(pixels), Some(teacher)) = (pixels, &mut self.teacher) else { return Ok(Vec::new()) };
        let outputs: Vec<&str> = inputs.iter().filter_map(|name| name.strip_prefix(TEACHER)).collect();
        let mut predictions = teacher.predict(pixels, samples, &outputs)?;
        for prediction in &mut predictions {
            prediction.name.insert_str(0, TEACHER);
        }
        Ok(predictions)
    }

    /// The teacher, for an objective that has an input of that name.
    fn taught_by(&self, input: &str) -> Result<&Self, NetworkError> {
        let missing = || NetworkError::Argument(format!("the objective takes '{input}', the network has no teacher"));
        self.teacher().ok_or_else(missing)
    }
}

/// The inputs of a program that are the teacher's outputs.
pub(crate) fn taught<B: Backend>(loaded: &Loaded<B>) -> Vec<String> {
    let names = loaded.program.inputs().iter().map(|binding| &binding.name);
    names.filter(|name| name.starts_with(TEACHER)).cloned().collect()
}
