//! Convolutions, their gradients and matrix products, bit by bit where they are exact or chains, on every instruction set and number of threads.

mod case;
mod forward;
mod gradients;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../runner/mod.rs"]
mod runner;
