//! Which classes a network takes for which.

use binary_nets_data::Loader;
use binary_nets_exec::Backend;

use crate::objective::other_classes;
use crate::{Network, NetworkError};

/// How often each class was taken for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confusion {
    /// The number of classes, C: that of the logits.
    pub classes: usize,
    /// `[C, C]`: row t, column p counts the samples of class t with their largest logit at p, the first of equal ones.
    pub counts: Vec<u64>,
}

impl<B: Backend> Network<B> {
    /// Counts over one epoch of a loader, from where it stands, with the frozen network's output `logits`, `[n, C]`. Fails with
    /// [`NetworkError::NotANumber`] where a logit is NaN, for then none is the largest.
    pub fn confusion(&mut self, loader: &mut Loader) -> Result<Confusion, NetworkError> {
        let classes = self.classes()?;
        let data = loader.dataset().classes().len();
        if data != classes {
            return Err(NetworkError::Argument(other_classes(data, classes)));
        }
        let mut confusion = Confusion { classes, counts: vec![0; classes * classes] };
        while let Some(batch) = self.next_batch(loader)? {
            for prediction in self.predict(&batch.images, batch.len(), &["logits"])? {
                for (row, &label) in prediction.data.chunks_exact(classes).zip(&batch.labels) {
                    let taken = largest(row).ok_or(NetworkError::NotANumber { class: label })?;
                    confusion.counts[label as usize * classes + taken] += 1;
                }
            }
        }
        Ok(confusion)
    }

    /// The length of the logits of one sample.
    fn classes(&self) -> Result<usize, NetworkError> {
        let model = self.model(1, &[])?;
        let logits = model.outputs().iter().find(|(name, _)| name.as_str() == "logits");
        let shape = logits.map(|(_, value)| model.meta(*value).shape.to_vec());
        match shape.as_deref() {
            Some(&[_, classes]) => Ok(classes),
            Some(shape) => Err(NetworkError::Argument(format!(
                "a confusion matrix needs an output 'logits' [n, classes], the network's is {shape:?}"
            ))),
            None => Err(NetworkError::Argument(
                "a confusion matrix needs an output 'logits', which the network has not".to_owned(),
            )),
        }
    }
}

/// The place of the first of the largest numbers; nothing where one of them is NaN.
fn largest(row: &[f32]) -> Option<usize> {
    let larger = |best: usize, (place, &x): (usize, &f32)| if x > row[best] { place } else { best };
    row.iter().all(|x| !x.is_nan()).then(|| row.iter().enumerate().fold(0, larger))
}
