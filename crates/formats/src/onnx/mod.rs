//! ONNX: frozen networks written for other runtimes, and binary, ternary and float networks of others read.
//!
//! [`export()`] writes the run graph with standard operators alone, [`import()`] builds an evaluation graph that freezes as any other.

mod axes;
pub mod export;
pub mod import;
mod proto;
mod shapes;

pub use export::{Form, export};
pub use import::{Imported, import};
