//! Graph to graph, one pass a file.

mod accumulate_gradients;
mod attach_averages;
mod attach_statistics;
mod attach_updates;
mod calibration;
mod clip_gradients;
mod constants;
mod dce;
mod differentiate;
mod ends;
mod evaluation;
mod freeze;
mod fuse;
mod fusion_report;
mod per_image;
mod precompute;
mod recompute;
mod rewrite;
mod round_gradients;

pub use accumulate_gradients::{ACCUMULATED, GRADIENT, accumulate_gradients, accumulated_gradients};
pub use attach_averages::{AVERAGE, attach_averages};
pub use attach_statistics::attach_statistics;
pub use attach_updates::{FINITE, Update, UpdateRule, attach_updates};
pub use calibration::calibration;
pub use clip_gradients::clip_gradients;
pub use dce::dce;
pub use differentiate::{Differentiated, differentiate};
pub use ends::{Ends, Range, Ranges, extremes, float_maps};
pub use evaluation::evaluation;
pub use freeze::{Floats, Freezing, Frozen, freeze, freeze_with};
pub use fuse::fuse;
pub use fusion_report::{FusionRow, Writes, fused_names, fusion_report, writes};
pub use per_image::per_image;
pub use precompute::precompute;
pub use recompute::recompute;
pub use round_gradients::round_gradients;
