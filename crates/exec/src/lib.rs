//! Schedule, liveness, plan, program and the Backend trait.
//!
//! [`plan`] turns a graph into a [`Program`]: nodes in order, a prepared kernel for each, an [`Address`] for each value. Everything is chosen
//! here, nothing while a program runs; [`Program`] prints what was chosen.

#![forbid(unsafe_code)]

mod backend;
mod diagnose;
mod error;
mod held;
mod liveness;
mod memory;
mod memory_policy;
mod place;
mod plan;
mod profile;
mod program;
mod schedule;
mod slots;
mod state_table;
mod storage;
mod thrift;
mod verify;

pub use backend::{Backend, InPlace, IoMeta, Prepared, Prologue, Replaced, Run};
pub use diagnose::first_non_finite;
pub use error::ExecError;
pub use held::Held;
pub use memory::{ALIGNMENT, Address, Memory, Region, align};
pub use memory_policy::MemoryPolicy;
pub use plan::plan;
pub use profile::{StepTime, profile};
pub use program::{Binding, Program, Step};
pub use state_table::StateTable;
pub use storage::{Layout, Storage};
pub use thrift::thrifty;
