//! What can go wrong between a graph and its results.

use thiserror::Error;

/// What can go wrong between a graph and its results.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ExecError {
    /// A backend cannot run an op, or not in this form.
    #[error("{op} at '{path}' is not supported here: {reason}")]
    Unsupported {
        /// The op's name.
        op: &'static str,
        /// The path of the layer.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// A program reads a state that the network does not have, or has in another shape.
    #[error("the network has no state '{path}' of {expected}")]
    State {
        /// The state's path.
        path: String,
        /// What the program needs.
        expected: String,
    },
    /// A plan breaks a rule; a fault of this library.
    #[error("invalid plan: {0}")]
    Plan(String),
    /// The run was cancelled before it changed any state.
    #[error("cancelled")]
    Cancelled,
    /// The device failed.
    #[error("device: {0}")]
    Device(String),
    /// A kernel panicked; a fault of this library.
    #[error("{op}{} panicked: {message}", if path.is_empty() { String::new() } else { format!(" at '{path}'") })]
    Panicked {
        /// The op's name.
        op: &'static str,
        /// The path of the layer; empty where none is to blame.
        path: String,
        /// What the panic said.
        message: String,
    },
}
