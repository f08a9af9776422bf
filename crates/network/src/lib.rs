//! A network's life: state, programs, training, evaluation, prediction, resuming; generic over the backend.

#![forbid(unsafe_code)]

mod averages;
mod batch;
mod calibrate;
mod checkpoint;
mod confusion;
mod error;
mod evaluate;
mod frozen;
mod frozen_network;
mod frozen_program;
mod import;
mod init;
mod layer_times;
mod loaded;
mod network;
mod objective;
mod options;
mod plans;
mod profile;
mod ranges;
mod recent;
mod replace_file;
mod resize;
mod scalars;
mod signs;
mod snapshot;
mod stream;
mod teacher;
mod tensor;
mod train;
mod training_plan;
mod weights;
mod workspace;

pub use binary_nets_graph::passes::Floats;
pub use confusion::Confusion;
pub use error::NetworkError;
pub use evaluate::Evaluation;
pub use frozen_network::FrozenNetwork;
pub use layer_times::{LayerKind, LayerTime};
pub use network::{Dump, Network};
pub use options::{Gradients, Slopes, TrainingOptions};
pub use profile::{OpTime, Part};
pub use snapshot::Snapshot;
pub use tensor::{NamedTensors, Prediction, TensorView};
pub use train::StepReport;
pub use training_plan::{Again, Peak, TrainingPlan};
pub use weights::{LoadOptions, LoadReport, Resized};
