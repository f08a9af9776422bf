//! What a loader's batch is to a program.

use std::sync::atomic::AtomicBool;

use binary_nets_data::{Batch, DataError, Dataset, Loader, Samples};
use binary_nets_exec::{Backend, ExecError};
use binary_nets_graph::Op;

use crate::{Network, NetworkError, TensorView};

/// The name that objectives know the floats by that a sample carries besides its label.
const TARGET: &str = "target";

/// The tensors of a batch, by the names that models and objectives know them by.
pub(crate) fn tensors<'a>(image: &'a str, batch: &'a Samples) -> Vec<(&'a str, TensorView<'a>)> {
    let mut tensors = vec![(image, TensorView::U8(&batch.images)), ("label", TensorView::U32(&batch.labels))];
    if !batch.targets.is_empty() {
        tensors.push((TARGET, TensorView::F32(&batch.targets)));
    }
    tensors
}

/// Refuses a dataset that has not the targets that a graph takes.
pub(crate) fn check_targets<'a>(
    ops: impl IntoIterator<Item = &'a Op>,
    dataset: &dyn Dataset,
) -> Result<(), NetworkError> {
    let wanted = ops.into_iter().find_map(|op| match op {
        Op::Input(input) if input.name == TARGET => Some(input.shape.elements()),
        _ => None,
    });
    match (wanted, dataset.targets()) {
        (Some(_), 0) => Err(NetworkError::Argument(format!("the objective takes '{TARGET}', the data has no targets"))),
        (Some(wanted), got) if wanted != got => Err(NetworkError::Argument(format!(
            "the objective takes {wanted} targets of each sample, the data has {got}"
        ))),
        _ => Ok(()),
    }
}

impl<B: Backend> Network<B> {
    /// The next batch of a loader, unless the call is cancelled while it waits.
    pub(crate) fn next_batch(&self, loader: &mut Loader) -> Result<Option<Batch>, NetworkError> {
        next_batch(loader, &self.cancel)
    }
}

/// The next batch of a loader, unless the flag is set while it waits.
pub(crate) fn next_batch(loader: &mut Loader, cancel: &AtomicBool) -> Result<Option<Batch>, NetworkError> {
    loader.next_batch_unless(cancel).map_err(|error| match error {
        DataError::Cancelled => ExecError::Cancelled.into(),
        error => error.into(),
    })
}
