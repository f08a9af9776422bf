//! Which classes a network takes for which.

use std::sync::atomic::AtomicBool;

use binary_nets_data::Loader;
use binary_nets_exec::Backend;
use binary_nets_graph::Graph;

use crate::batch::next_batch;
use crate::objective::other_classes;
use crate::{Network, NetworkError, Prediction};

/// How often each class was taken for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confusion {
    /// The number of classes, C: that of the logits.
    pub classes: usize,
    /// `[C, C]`: row t, column p counts the samples of class t with their largest logit at p, the first of equal ones.
    pub counts: Vec<u64>,
    /// How many samples have the logit of their own class among the five largest, the first ones of equal ones.
    pub among_first_five: u64,
}

impl<B: Backend> Network<B> {
    /// Counts over one epoch of a loader, from where it stands, with the frozen network's output `logits`, `[n, C]`. Fails with
    /// [`NetworkError::NotANumber`] where a logit is NaN, for then none is the largest.
    pub fn confusion(&mut self, loader: &mut Loader) -> Result<Confusion, NetworkError> {
        let classes = classes(&self.model(1, &[])?)?;
        let cancel = self.cancel_flag();
        count(loader, &cancel, classes, None, |pixels, count| self.predict(pixels, count, &["logits"]))
    }
}

/// Counts over one epoch of a loader what `predict` says of its images, logits `[n, classes]`; `labels` says which logit each of the data's classes has, without it they
/// are in one order.
pub(crate) fn count(
    loader: &mut Loader,
    cancel: &AtomicBool,
    classes: usize,
    labels: Option<&[u32]>,
    mut predict: impl FnMut(&[u8], usize) -> Result<Vec<Prediction>, NetworkError>,
) -> Result<Confusion, NetworkError> {
    let data = loader.dataset().classes().len();
    if labels.map_or(classes, <[u32]>::len) != data || labels.is_some_and(|l| l.iter().any(|&l| l as usize >= classes))
    {
        return Err(NetworkError::Argument(other_classes(data, classes)));
    }
    let mut confusion = Confusion { classes, counts: vec![0; classes * classes], among_first_five: 0 };
    while let Some(batch) = next_batch(loader, cancel)? {
        for prediction in predict(&batch.images, batch.len())? {
            for (row, &label) in prediction.data.chunks_exact(classes).zip(&batch.labels) {
                let taken = largest(row).ok_or(NetworkError::NotANumber { class: label })?;
                let label = labels.map_or(label, |labels| labels[label as usize]) as usize;
                confusion.counts[label * classes + taken] += 1;
                confusion.among_first_five += u64::from(place(row, label) < 5);
            }
        }
    }
    Ok(confusion)
}

/// The length of the logits of one sample.
pub(crate) fn classes(model: &Graph) -> Result<usize, NetworkError> {
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

/// How many logits come before one when they are sorted, the largest first and equal ones as they are.
fn place(row: &[f32], label: usize) -> usize {
    let before = |&(i, &x): &(usize, &f32)| x > row[label] || (x == row[label] && i < label);
    row.iter().enumerate().filter(before).count()
}

/// The place of the first of the largest numbers; nothing where one of them is NaN.
fn largest(row: &[f32]) -> Option<usize> {
    let larger = |best: usize, (place, &x): (usize, &f32)| if x > row[best] { place } else { best };
    row.iter().all(|x| !x.is_nan()).then(|| row.iter().enumerate().fold(0, larger))
}
