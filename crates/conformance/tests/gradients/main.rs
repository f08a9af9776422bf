//! Gradients: central differences for smooth ops, closed forms for the rest.

mod binary;
mod closed_forms;
mod net;
mod pseudo_gradients;
mod smooth;
mod structure;
mod ternary;
