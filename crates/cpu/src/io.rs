//! What a kernel sees of its node's memory.

use bytemuck::Pod;

pub use crate::arena::Inputs;
use crate::arena::{Slots, Written};
use crate::threads::Threads;

/// One op, ready to run.
pub type Kernel = Box<dyn Fn(&Io<'_>) + Send + Sync>;

/// Inputs, outputs and threads of a kernel that runs.
///
/// Slices are of the storage type of the value (see [`binary_nets_exec::Layout::interchange`]); a wrong type or number panics, and the engine makes an
/// error of that.
pub struct Io<'a> {
    pub(crate) slots: Slots<'a>,
    pub(crate) threads: Threads,
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

#[allow(clippy::mut_from_ref, reason = "each slot is given out once, which is checked")]
impl<'a> Io<'a> {
    /// Input `i`.
    pub fn input<T: Pod>(&self, i: usize) -> &[T] {
        self.slots.inputs().get(i)
    }

    /// Input `i`; `None` where an output replaces it and has its bytes.
    pub fn unless_replaced<T: Pod>(&self, i: usize) -> Option<&[T]> {
        self.slots.inputs().unless_replaced(i)
    }

    /// All inputs, for threads that look them up themselves.
    pub fn inputs(&self) -> &Inputs<'a> {
        self.slots.inputs()
    }

    /// Output `i`; it holds old bytes, and can be asked for once.
    pub fn output<T: Pod>(&self, i: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(self.slots.written(Written::Output(i)))
    }

    /// Input `i`, which the op updates in place; can be asked for once.
    pub fn state<T: Pod>(&self, i: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(self.slots.written(Written::State(i)))
    }

    /// The scratch memory; it holds old bytes, and can be asked for once.
    pub fn scratch<T: Pod>(&self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.slots.written(Written::Scratch))
    }

    /// What the prologue wrote.
    pub fn resident<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self.slots.resident())
    }

    /// Where the prologue writes, in the prologue alone; can be asked for once.
    pub fn resident_mut<T: Pod>(&self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.slots.written(Written::Resident))
    }

    /// A single number.
    pub fn number(&self, i: usize) -> f32 {
        self.input(i)[0]
    }

    /// The threads that may help.
    pub fn threads(&self) -> Threads {
        self.threads
    }

    /// Seed and step of the run.
    pub fn run(&self) -> (u64, u64) {
        (self.seed, self.step)
    }
}
