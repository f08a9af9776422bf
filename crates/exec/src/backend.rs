//! What a backend does.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use binary_nets_graph::{Op, ValueMeta};

use crate::{Address, ExecError, Layout, Memory, Program};

/// Runs programs on some device. Knows ops and memory; nothing of models, gradients or JavaScript.
pub trait Backend {
    /// Memory of the device; clones share it.
    type Buffer: Clone;
    /// One op, ready to run.
    type Kernel;
    /// A run that was submitted.
    type Ticket;

    /// How the backend stores a value; asked before planning.
    fn layout(&self, value: &ValueMeta) -> Layout;

    /// Chooses the kernel of a node.
    fn prepare(&self, op: &Op, io: &IoMeta) -> Result<Prepared<Self::Kernel>, ExecError>;

    /// How many workspaces a program that is repeated that often uses at the same time.
    fn lanes(&self, repeat: usize) -> usize;

    /// Zeroed memory; [`ExecError::Device`] where there is not so much.
    fn allocate(&self, bytes: usize) -> Result<Self::Buffer, ExecError>;

    /// Runs the prologues of a program: once, and again whenever its constants have changed.
    fn prologue(&self, program: &Arc<Program<Self::Kernel>>, memory: &Memory<Self::Buffer>) -> Result<(), ExecError>;

    /// Starts the steps `steps` of a program, `program.repeat()` times: see [`Program::repeat`]. No other run may use the same memory
    /// until [`Backend::wait`] has returned.
    fn submit(
        &self,
        program: &Arc<Program<Self::Kernel>>,
        steps: Range<usize>,
        memory: &Memory<Self::Buffer>,
        run: &Run,
    ) -> Result<Self::Ticket, ExecError>;

    /// Waits for a run to end.
    fn wait(&self, ticket: Self::Ticket) -> Result<(), ExecError>;

    /// The multiply-adds a second that the kernel of that name reaches at best on this machine, where everything lies in the nearest memory, with all threads; measured when
    /// it is asked for. `None` where nobody knows.
    fn peak(&self, _kernel: &str) -> Option<f64> {
        None
    }

    /// Copies bytes of the interchange type into a slot.
    fn write(&self, buffer: &Self::Buffer, address: Address, bytes: &[u8]);

    /// Copies a slot into bytes of the interchange type.
    fn read(&self, buffer: &Self::Buffer, address: Address, bytes: &mut [u8]);

    /// Nobody reads the slot until it is written again: its memory may go back to the system, and its bytes may become zeros. How many bytes went.
    fn release(&self, _buffer: &Self::Buffer, _address: Address) -> usize {
        0
    }

    /// Submits and waits.
    fn run(
        &self,
        program: &Arc<Program<Self::Kernel>>,
        steps: Range<usize>,
        memory: &Memory<Self::Buffer>,
        run: &Run,
    ) -> Result<(), ExecError> {
        self.wait(self.submit(program, steps, memory, run)?)
    }
}

/// Meaning and shape of a node's inputs and outputs.
#[derive(Clone, Debug)]
pub struct IoMeta<'g> {
    /// Of the inputs.
    pub inputs: Vec<&'g ValueMeta>,
    /// Of the outputs.
    pub outputs: Vec<&'g ValueMeta>,
    /// Which inputs are constants of a frozen graph: the same in every run.
    pub constant: Vec<bool>,
    /// The path of the layer, for messages.
    pub path: &'g str,
}

/// A kernel and what it needs.
pub struct Prepared<K> {
    /// The kernel.
    pub kernel: K,
    /// The name of the choice, for people.
    pub name: &'static str,
    /// Bytes of workspace that it needs while it runs.
    pub scratch: usize,
    /// Work on constants alone, done once for all runs.
    pub prologue: Option<Prologue<K>>,
    /// An output that may take the memory of an input.
    pub in_place: Option<InPlace>,
}

/// An output that may replace any one of some inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InPlace {
    /// The numbers of the inputs, the best first.
    pub inputs: Vec<usize>,
    /// The number of the output.
    pub output: usize,
}

/// An output that replaces an input of the same size where nobody reads that later: the kernel finds the input's bytes in the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// The number of the input.
    pub input: usize,
    /// The number of the output.
    pub output: usize,
}

/// Work on constant inputs alone, such as laying weights as the kernel likes them. Its result stays in the state region, behind the states.
pub struct Prologue<K> {
    /// Writes the result.
    pub kernel: K,
    /// The size of the result, in bytes.
    pub bytes: usize,
    /// The numbers of the inputs that only the prologue reads, so that the step can do without them from then on.
    pub consumed: Vec<usize>,
}

/// What differs from run to run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The seed of the network's random numbers.
    pub seed: u64,
    /// Counts runs, so that each has random numbers of its own: in training the updates made before and, from bit 40 on, the batches accumulated since.
    pub step: u64,
    /// Set from another thread to stop a run between two steps; it then ends with [`ExecError::Cancelled`].
    pub cancel: Arc<AtomicBool>,
}
