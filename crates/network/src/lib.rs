//! A network's life: state, programs, training, evaluation, prediction, resuming; generic over the backend.

#![forbid(unsafe_code)]

mod averages;
mod calibrate;
mod checkpoint;
mod error;
mod evaluate;
mod frozen;
mod init;
mod loaded;
mod network;
mod options;
mod plans;
mod replace_file;
mod resize;
mod signs;
mod stream;
mod tensor;
mod train;
mod weights;

pub use error::NetworkError;
pub use evaluate::Evaluation;
pub use network::{Dump, Network};
pub use options::TrainingOptions;
pub use tensor::{NamedTensors, Prediction, TensorView};
pub use train::StepReport;
pub use weights::{LoadOptions, LoadReport, Resized};
