//! The CPU backend and its threads.
//!
//! [`Cpu`] runs programs on a thread pool of its own. What a kernel may touch of the memory is decided in `arena`, the only file with unsafe code,
//! on the strength of the plan's check; a kernel is one file in `ops`, named after its op.

#![deny(unsafe_code)]
#![allow(clippy::inline_always, reason = "vector code must be inlined into the function that has the features")]

mod arena;
mod cpu;
mod engine;
mod io;
mod ops;
mod peak;
mod target;
mod threads;

pub use binary_nets_kernels::{Isa, IsaError};
pub use cpu::Cpu;
