//! Graphs: passes as text in and text out, dumps, specs, shape rules, the summary.

mod differentiate;
mod dump;
mod evaluation_passes;
mod every_op;
mod freeze;
mod freeze_ends;
mod freeze_floats;
mod freeze_stem;
mod freeze_ternary;
mod fuse;
mod max_pools;
mod namesakes;
mod norms;
mod per_image;
mod precompute;
mod recompute;
mod saved;
mod shapes;
mod spec;
mod summary;
mod text;
mod training_passes;
