//! A network's life: state, programs, training, evaluation, prediction, resuming; generic over the backend.

#![forbid(unsafe_code)]

mod batch;
mod calibrate;
mod checkpoint;
mod confusion;
mod error;
mod evaluate;
mod frozen;
mod init;
mod loaded;
mod network;
mod objective;
mod plans;
mod profile;
mod snapshot;
mod teacher;
mod tensor;
mod train;

pub use confusion::Confusion;
pub use error::NetworkError;
pub use evaluate::Evaluation;
pub use network::{Dump, Network};
pub use snapshot::Snapshot;
pub use tensor::{NamedTensors, Prediction, TensorView};
pub use train::StepReport;
