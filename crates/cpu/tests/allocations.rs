//! A step allocates nothing, on any thread.

#[path = "runner/model.rs"]
mod model;
#[allow(dead_code, reason = "every test uses its part")]
mod runner;

use std::alloc::{self, GlobalAlloc, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use binary_nets_cpu::Cpu;
use binary_nets_exec::{Backend, MemoryPolicy, Run, thrifty};
use binary_nets_graph::Graph;
use binary_nets_graph::passes::{economize, evaluation, freeze, fuse, fuse_norms, round_gradients};
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

/// A step behind the passes that training takes it through.
fn as_trained(cpu: &Cpu, mut step: Graph, policy: MemoryPolicy, fixed: bool) -> Graph {
    if fixed {
        round_gradients(&mut step);
    }
    let step = economize(&step).unwrap();
    let step = fuse_norms(&thrifty(cpu, &step, policy).unwrap()).unwrap();
    let has = |wanted: &str| step.nodes().iter().any(|node| node.op.name() == wanted);
    assert!(has("batch_norm_fused") && has("max_pool2d_index"), "{}", step.dump());
    step
}

/// One test in this file, so that nothing else allocates meanwhile. No thread ends before it does, for ending allocates, too.
#[test]
fn a_steady_step_allocates_nothing() {
    let frozen = freeze(&evaluation(&model::forward(1)).unwrap()).unwrap();
    let cpus = [1, 2, 4].map(|threads| Cpu::new(Some(threads), Isa::detect()).unwrap());
    let mut graphs = vec![model::accumulating_step(4), fuse(&frozen.run).unwrap()];
    for policy in [MemoryPolicy::Speed, MemoryPolicy::Balanced, MemoryPolicy::Min] {
        for fixed in [false, true] {
            graphs.push(as_trained(&cpus[0], model::training_step(4), policy, fixed));
        }
    }
    for graph in graphs {
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
