//! A step allocates nothing, on any thread.

#[path = "runner/model.rs"]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use std::alloc::{self, GlobalAlloc, System};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use binary_nets_cpu::Cpu;
use binary_nets_exec::{Address, Backend, ExecError, IoMeta, Layout, Memory, Prepared, Program, Run, StateTable, plan};
use binary_nets_graph::ops::Fill;
use binary_nets_graph::passes::{evaluation, freeze, fuse};
use binary_nets_graph::{Graph, Op, ValueMeta};
use binary_nets_kernels::Isa;
use runner::Planned;

/// Counts what any thread allocates.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator.
#[allow(unsafe_code, reason = "an allocator is unsafe to implement")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: alloc::Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: alloc::Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A backend with one kernel, which ends when every thread of the pool has done something.
struct Gathering<'c>(&'c Cpu);

impl Backend for Gathering<'_> {
    type Buffer = <Cpu as Backend>::Buffer;
    type Kernel = <Cpu as Backend>::Kernel;
    type Ticket = <Cpu as Backend>::Ticket;

    fn layout(&self, value: &ValueMeta) -> Layout {
        self.0.layout(value)
    }

    fn prepare(&self, _: &Op, _: &IoMeta) -> Result<Prepared<Self::Kernel>, ExecError> {
        let kernel: Self::Kernel = Box::new(|_| drop(rayon::broadcast(|_| ())));
        Ok(Prepared { kernel, name: "gather", scratch: 0, prologue: None, in_place: None })
    }

    fn lanes(&self, repeat: usize) -> usize {
        self.0.lanes(repeat)
    }

    fn allocate(&self, bytes: usize) -> Result<Self::Buffer, ExecError> {
        self.0.allocate(bytes)
    }

    fn prologue(&self, program: &Arc<Program<Self::Kernel>>, memory: &Memory<Self::Buffer>) -> Result<(), ExecError> {
        self.0.prologue(program, memory)
    }

    fn submit(
        &self,
        program: &Arc<Program<Self::Kernel>>,
        steps: Range<usize>,
        memory: &Memory<Self::Buffer>,
        run: &Run,
    ) -> Result<Self::Ticket, ExecError> {
        self.0.submit(program, steps, memory, run)
    }

    fn wait(&self, ticket: Self::Ticket) -> Result<(), ExecError> {
        self.0.wait(ticket)
    }

    fn write(&self, buffer: &Self::Buffer, address: Address, bytes: &[u8]) {
        self.0.write(buffer, address, bytes);
    }

    fn read(&self, buffer: &Self::Buffer, address: Address, bytes: &mut [u8]) {
        self.0.read(buffer, address, bytes);
    }
}

/// A backend whose threads have all looked for work: each allocates when it first does, and on a busy machine that may be late.
fn gathered(threads: usize) -> Cpu {
    let cpu = Cpu::new(Some(threads), Isa::detect()).unwrap();
    let mut graph = Graph::new(1);
    let zero = graph.add_one(Fill { value: 0.0, shape: [1].into() }, &[], "").unwrap();
    graph.set_output("zero", zero);
    let gathering = Gathering(&cpu);
    let program = Arc::new(plan(&gathering, &graph, &StateTable::default(), 1).unwrap());
    let memory = Memory {
        state: cpu.allocate(program.state_bytes()).unwrap(),
        workspace: cpu.allocate(program.workspace_bytes()).unwrap(),
        batch: cpu.allocate(program.batch_bytes()).unwrap(),
        output: cpu.allocate(program.output_bytes()).unwrap(),
    };
    gathering.run(&program, 0..1, &memory, &Run::default()).unwrap();
    cpu
}

/// One test in this file, so that nothing else allocates meanwhile. No thread ends before it does, for ending allocates, too.
#[test]
fn a_steady_step_allocates_nothing() {
    let frozen = freeze(&evaluation(&model::forward(1)).unwrap()).unwrap();
    let cpus = [1, 2, 4].map(gathered);
    for graph in [model::training_step(4), model::accumulating_step(4), fuse(&frozen.run).unwrap()] {
        let inputs = model::inputs(&graph, 1);
        for cpu in &cpus {
            let planned = Planned::new(cpu, &graph, 1).unwrap();
            planned.write(&inputs, 0);
            let run = Run::default();
            planned.run(&run).unwrap();
            let steps = planned.program.steps().len();
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..100 {
                cpu.run(&planned.program, 0..steps, &planned.memory, &run).unwrap();
            }
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "on {} threads", cpu.threads());
        }
    }
}
