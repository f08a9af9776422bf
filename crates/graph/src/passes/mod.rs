//! Graph to graph, one pass a file.

mod attach_statistics;
mod attach_updates;
mod calibration;
mod dce;
mod differentiate;
mod evaluation;
mod freeze;
mod per_image;
mod rewrite;

pub use attach_statistics::attach_statistics;
pub use attach_updates::{FINITE, Update, UpdateRule, attach_updates};
pub use calibration::calibration;
pub use dce::dce;
pub use differentiate::{Differentiated, differentiate};
pub use evaluation::evaluation;
pub use freeze::{Frozen, freeze};
pub use per_image::per_image;
