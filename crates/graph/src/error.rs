//! What can be wrong with a graph.

use thiserror::Error;

/// Why an op refuses its inputs; [`crate::Graph::add`] adds the op and the path to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// What the op takes.
    pub expected: String,
    /// What it was given.
    pub got: String,
}

impl Mismatch {
    /// Both sides of a mismatch.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

/// What can be wrong with a graph.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum GraphError {
    /// An op refuses the meaning or shape of its inputs, or its attributes are impossible for them.
    #[error("{op} at '{path}': expected {expected}, got {got}")]
    Shape {
        /// The op's name.
        op: &'static str,
        /// The path of the layer.
        path: String,
        /// What the op takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A graph spec is not JSON of the documented form, or refers to what does not exist.
    #[error("graph spec: {0}")]
    Spec(String),
    /// A dump could not be parsed.
    #[error("line {line}: {message}")]
    Parse {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A gradient was asked for through an op that has none.
    #[error("{op} at '{path}' has no gradient")]
    NotDifferentiable {
        /// The op's name.
        op: &'static str,
        /// The path of the layer.
        path: String,
    },
    /// A named output, parameter or layer does not exist.
    #[error("there is no {kind} '{name}'; there are: {known}")]
    Unknown {
        /// What was looked for: `output`, `layer`, `parameter`, …
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
}
