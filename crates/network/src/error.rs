//! What can go wrong in a network's life.

use std::path::{Path, PathBuf};

use binary_nets_data::DataError;
use binary_nets_exec::ExecError;
use binary_nets_formats::FormatError;
use binary_nets_graph::GraphError;
use thiserror::Error;

/// What can go wrong in a network's life.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The graph is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The backend failed or cannot do this.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The data failed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A frozen network is impossible.
    #[error(transparent)]
    Model(#[from] FormatError),
    /// A file is not what it should be, or is damaged.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A checkpoint does not fit its own graph.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor's name.
        message: String,
    },
    /// Weights do not fit the model.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What does not fit, with the tensors' names.
        message: String,
    },
    /// The operating system refused a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A tensor has another number of elements than its place.
    #[error("tensor '{name}': expected {expected}, got {got} elements")]
    Elements {
        /// The tensor's name.
        name: String,
        /// What its place takes.
        expected: String,
        /// How many it was given.
        got: usize,
    },
    /// A tensor of a batch is missing, of another type, or out of range.
    #[error("batch tensor '{name}': expected {expected}, got {got}")]
    Batch {
        /// The tensor's name.
        name: String,
        /// What the program takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The loss, or a gradient that an update reads, is not finite; no state has been changed.
    #[error("{} at step {step}; the first number that is not finite came from {op} at '{path}'", what_is_wrong(*loss))]
    NotFinite {
        /// The loss.
        loss: f32,
        /// Updates made before.
        step: u64,
        /// The op that produced it first.
        op: String,
        /// The path of its layer.
        path: String,
    },
    /// A logit is NaN, so no class is the likeliest.
    #[error("a logit of a sample of class {class} is NaN")]
    NotANumber {
        /// The sample's label.
        class: u32,
    },
    /// A call needs something that was not set up, or names what does not exist.
    #[error("{0}")]
    Argument(String),
}

impl NetworkError {
    /// The same of a file: what is wrong with its contents names it.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Model(source) => Self::Format { path: path.to_owned(), source },
            other => other,
        }
    }
}

fn what_is_wrong(loss: f32) -> String {
    if loss.is_finite() { "a gradient is not finite".to_owned() } else { format!("the loss is {loss}") }
}
