//! The backend.

use std::ops::Range;
use std::sync::Arc;

use binary_nets_exec::{Address, Backend, ExecError, IoMeta, Layout, Memory, Prepared, Program, Run};
use binary_nets_graph::{Op, ValueMeta};
use binary_nets_kernels::Isa;

use crate::arena::{Arena, Buffer};
use crate::engine::{Engine, Job, Part, Ticket, lanes};
use crate::io::Kernel;
use crate::ops;
use crate::peak::peak;
use crate::target::Target;

/// Runs programs on the processor, on threads of its own.
///
/// Clones share the threads. Runs queue up and are taken one after the other. Results do not depend on the number of threads; element-wise ops and integers do not depend on
/// the instruction set either.
#[derive(Clone)]
pub struct Cpu {
    target: Target,
    engine: Arc<Engine>,
}

impl Cpu {
    /// A backend with that many threads, or as many as the machine runs at the same time.
    pub fn new(threads: Option<usize>, isa: Isa) -> Result<Self, ExecError> {
        let threads = match threads {
            Some(0) => return Err(ExecError::Device("0 threads run nothing".to_owned())),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        Ok(Self { target: Target { isa, threads }, engine: Arc::new(Engine::new(threads)?) })
    }

    /// The instruction set that its kernels use.
    pub fn isa(&self) -> Isa {
        self.target.isa
    }

    /// The number of its threads.
    pub fn threads(&self) -> usize {
        self.target.threads
    }
}

impl Backend for Cpu {
    type Buffer = Buffer;
    type Kernel = Kernel;
    type Ticket = Ticket;

    fn layout(&self, value: &ValueMeta) -> Layout {
        Layout::interchange(value)
    }

    fn prepare(&self, op: &Op, io: &IoMeta) -> Result<Prepared<Kernel>, ExecError> {
        ops::prepare(op, io, self.target)
    }

    fn lanes(&self, repeat: usize) -> usize {
        lanes(self.target.threads, repeat)
    }

    fn allocate(&self, bytes: usize) -> Result<Buffer, ExecError> {
        Arena::zeroed(bytes)
    }

    fn prologue(&self, program: &Arc<Program<Kernel>>, memory: &Memory<Buffer>) -> Result<(), ExecError> {
        let job =
            Job { program: Arc::clone(program), memory: memory.clone(), run: Run::default(), part: Part::Prologue };
        self.wait(self.engine.submit(job))
    }

    fn submit(
        &self,
        program: &Arc<Program<Kernel>>,
        steps: Range<usize>,
        memory: &Memory<Buffer>,
        run: &Run,
    ) -> Result<Ticket, ExecError> {
        if steps.end > program.steps().len() {
            return Err(ExecError::Plan(format!("steps {steps:?} of a program of {}", program.steps().len())));
        }
        let job =
            Job { program: Arc::clone(program), memory: memory.clone(), run: run.clone(), part: Part::Steps(steps) };
        Ok(self.engine.submit(job))
    }

    fn peak(&self, kernel: &str) -> Option<f64> {
        peak(kernel, self.threads())
    }

    fn wait(&self, ticket: Ticket) -> Result<(), ExecError> {
        ticket.wait()
    }

    fn write(&self, buffer: &Buffer, address: Address, bytes: &[u8]) {
        buffer.write(address, bytes);
    }

    fn read(&self, buffer: &Buffer, address: Address, bytes: &mut [u8]) {
        buffer.read(address, bytes);
    }

    fn release(&self, buffer: &Buffer, address: Address) -> usize {
        buffer.release(address)
    }
}
