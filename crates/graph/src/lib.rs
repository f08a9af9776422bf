//! Ops, shapes, gradients and passes as data; runs nothing.
//!
//! A [`Graph`] is a list of nodes in order of definition. Training step, evaluation and frozen network are all graphs; the
//! [`passes`] map graph to graph; [`spec::GraphSpec`] is the JSON that TypeScript records, and [`Graph::dump`] the text that people
//! read and tests compare.

#![forbid(unsafe_code)]

mod dump;
mod error;
mod graph;
mod init;
mod meaning;
mod op;
pub mod ops;
mod parse;
pub mod passes;
mod shape;
pub mod spec;
pub mod summary;
mod window;

pub use error::{GraphError, Mismatch};
pub use graph::{Graph, Node, NodeId, Value};
pub use init::Init;
pub use meaning::{Meaning, ValueMeta};
pub use op::{Backward, Forward, Op};
pub use shape::{Shape, broadcast};
pub use window::{BorderCases, Window};
