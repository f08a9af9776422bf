//! How programs run: threads, repetitions, cancelling, faults.

#[path = "runner/model.rs"]
mod model;
mod runner;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use binary_nets_bits::Codes;
use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::Cpu;
use binary_nets_exec::{Backend, ExecError, Memory, Run};
use binary_nets_graph::ops::{Affine, BinaryConv2d, Gather, Input, Sign, State, StateKind, Surrogate};
use binary_nets_graph::passes::{economize, quantize_slopes, read_through_pools};
use binary_nets_graph::{Graph, Init, Meaning, Node, Op, Shape, Window};
use binary_nets_kernels::Isa;
use runner::Planned;

const fn shared<T: Send + Sync>() {}
const _: () = shared::<Cpu>();

fn cpu(threads: usize) -> Cpu {
    Cpu::new(Some(threads), Isa::detect()).unwrap()
}

#[test]
fn training_gives_the_same_bits_on_any_number_of_threads_and_any_instruction_set() {
    let plain = model::training_step(6);
    let light = economize(&plain).unwrap();
    let dots = |node: &Node| matches!(node.op, Op::BinaryConv2d(_)) && node.inputs.len() == 2;
    assert!(light.nodes().iter().any(dots), "integers are kept");
    let codes =
        |graph: &Graph| graph.nodes().iter().filter(|node| matches!(node.op, Op::Sign(_) | Op::Step(_))).count();
    assert!(codes(&light) < codes(&plain), "codes are shared");
    let bytes = economize(&quantize_slopes(&plain).unwrap()).unwrap();
    assert!(bytes.nodes().iter().any(|node| matches!(node.op, Op::QuantizeSlope(_))));
    let train = |graph: &Graph, cpu: &Cpu| -> Outputs {
        let planned = Planned::new(cpu, graph, 1).unwrap();
        planned.write(&model::inputs(graph, 1), 0);
        for step in 0..5 {
            planned.run(&Run { seed: 7, step, ..Run::default() }).unwrap();
        }
        planned.read(0)
    };
    let scalar = Cpu::new(Some(1), Isa::Scalar).unwrap();
    // Behind pools, other kernels add in another order.
    let pooled = read_through_pools(&plain).unwrap();
    assert!(train(&pooled, &scalar) == train(&light, &scalar), "economy changes no bit");
    for graph in [plain, light, bytes, model::accumulating_step(6)] {
        let expected = train(&graph, &scalar);
        assert!(matches!(&expected.outputs["loss"], Values::F32(loss) if loss[0].is_finite() && loss[0] > 0.0));
        for isa in Isa::available() {
            for threads in [1, 2, 3, 8] {
                let got = train(&graph, &Cpu::new(Some(threads), isa).unwrap());
                assert!(got == expected, "{threads} threads, {}", isa.name());
            }
        }
    }
}

/// A frozen layer of one image, whose weights are laid out by a prologue.
fn frozen_layer() -> Graph {
    let mut graph = Graph::new(1);
    let mut state = |path: &str, shape: &[usize], meaning| {
        let path = path.to_owned();
        let state = State { path, shape: shape.into(), kind: StateKind::Constant, init: Init::Constant(0.0), meaning };
        graph.add_one(state, &[], "").unwrap()
    };
    let w = state("w", &[70, 3, 3, 65], Meaning::bits(Codes::Sign));
    let (a, c) = (state("a", &[70], Meaning::F32), state("c", &[70], Meaning::F32));
    let input = Input { name: "x".into(), shape: [9, 9, 65].into(), meaning: Meaning::F32 };
    let x = graph.add_one(input, &[], "").unwrap();
    let codes = graph.add_one(Sign { gradient: Surrogate::Identity, groups: 1 }, &[x], "sign").unwrap();
    let conv = BinaryConv2d { window: Window::square(3, 1, 1), pad_value: 0 };
    let dots = graph.add_one(conv, &[codes, w], "conv").unwrap();
    let y = graph.add_one(Affine { border: None }, &[dots, a, c], "affine").unwrap();
    graph.set_output("dots", dots);
    graph.set_output("y", y);
    graph
}

#[test]
fn repetitions_are_single_runs() {
    const IMAGES: usize = 7;
    let graph = frozen_layer();
    let one = cpu(1);
    let single = Planned::new(&one, &graph, 1).unwrap();
    let expected: Vec<Outputs> = (0..IMAGES)
        .map(|image| {
            single.write(&model::inputs(&graph, image as u64), 0);
            single.run(&Run::default()).unwrap();
            single.read(0)
        })
        .collect();
    assert_ne!(expected[0], expected[1]);
    for threads in [1, 2, 3, 9] {
        let cpu = cpu(threads);
        assert_eq!(cpu.lanes(IMAGES), threads.min(IMAGES));
        let batch = Planned::new(&cpu, &graph, IMAGES).unwrap();
        for image in 0..IMAGES {
            batch.write(&model::inputs(&graph, image as u64), image);
        }
        batch.run(&Run::default()).unwrap();
        for (image, expected) in expected.iter().enumerate() {
            assert_eq!(batch.read(image), *expected, "image {image} on {threads} threads");
        }
    }
}

#[test]
fn a_cancelled_step_changes_no_state_and_an_update_is_never_cut_short() {
    let graph = model::training_step(2);
    let cpu = cpu(2);
    let planned = Planned::new(&cpu, &graph, 1).unwrap();
    planned.write(&model::inputs(&graph, 1), 0);
    planned.run(&Run::default()).unwrap();
    let before = planned.read(0);
    let run = Run::default();
    run.cancel.store(true, Ordering::Relaxed);
    assert_eq!(planned.run(&run), Err(ExecError::Cancelled));
    assert_eq!(planned.read(0).states, before.states);
    cpu.run(&planned.program, planned.program.update(), &planned.memory, &run).unwrap();
    assert_ne!(planned.read(0).states, before.states);
}

#[test]
fn a_run_is_cancelled_from_another_thread() {
    let graph = model::training_step(64);
    let cpu = cpu(2);
    let planned = Planned::new(&cpu, &graph, 1).unwrap();
    planned.write(&model::inputs(&graph, 1), 0);
    let run = Run::default();
    let all = || cpu.submit(&planned.program, planned.program.compute(), &planned.memory, &run).unwrap();
    let tickets: Vec<_> = (0..50).map(|_| all()).collect();
    run.cancel.store(true, Ordering::Relaxed);
    let results: Vec<_> = tickets.into_iter().map(|ticket| cpu.wait(ticket)).collect();
    assert_eq!(results.last(), Some(&Err(ExecError::Cancelled)));
}

#[test]
fn a_kernel_that_panics_is_an_error_that_names_it_and_the_next_run_is_fine() {
    let mut graph = Graph::new(2);
    let x = Input { name: "x".into(), shape: [3].into(), meaning: Meaning::F32 };
    let index = Input { name: "index".into(), shape: Shape::default(), meaning: Meaning::Index { classes: 3 } };
    let (x, index) = (graph.add_one(x, &[], "").unwrap(), graph.add_one(index, &[], "").unwrap());
    let picked = graph.add_one(Gather { axis: 1 }, &[x, index], "head.pick").unwrap();
    graph.set_output("y", picked);
    for threads in [1, 2] {
        let cpu = cpu(threads);
        let planned = Planned::new(&cpu, &graph, 1).unwrap();
        let run = |index: Vec<i64>| {
            let mut inputs = Inputs::default();
            inputs.tensors.insert("x".into(), Values::F32((0..6u8).map(f32::from).collect()));
            inputs.tensors.insert("index".into(), Values::I64(index));
            planned.write(&inputs, 0);
            planned.run(&Run::default()).map(|()| planned.read(0).outputs["y"].clone())
        };
        let Err(ExecError::Panicked { op, path, .. }) = run(vec![1, 4]) else { panic!("an index outside passed") };
        assert_eq!((op, path.as_str()), ("gather", "head.pick"));
        assert_eq!(run(vec![1, 2]), Ok(Values::F32(vec![1.0, 5.0])));
    }
}

#[test]
fn memory_that_is_too_small_or_shared_between_regions_is_refused() {
    let cpu = cpu(2);
    let planned = Planned::new(&cpu, &frozen_layer(), 1).unwrap();
    let submit = |memory: Memory<_>| cpu.run(&planned.program, planned.program.compute(), &memory, &Run::default());
    let good = || planned.memory.clone();
    assert!(
        matches!(submit(Memory { output: cpu.allocate(8).unwrap(), ..good() }), Err(ExecError::Device(m)) if m.contains("Output"))
    );
    let shared =
        Memory { output: planned.memory.workspace.clone(), workspace: planned.memory.workspace.clone(), ..good() };
    assert!(matches!(submit(shared), Err(ExecError::Device(_))));
    assert!(matches!(cpu.submit(&planned.program, 0..99, &good(), &Run::default()), Err(ExecError::Plan(_))));
    assert!(matches!(Cpu::new(Some(0), Isa::Scalar), Err(ExecError::Device(_))));
}

#[test]
fn threads_share_a_backend_and_a_dropped_one_ends() {
    let graph = frozen_layer();
    let shared = Arc::new(cpu(2));
    let results: Vec<Outputs> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let planned = Planned::new(&shared, &graph, 3).unwrap();
                    (0..3).for_each(|image| planned.write(&model::inputs(&graph, image), image as usize));
                    (0..20).for_each(|_| planned.run(&Run::default()).unwrap());
                    planned.read(2)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(results.iter().all(|result| *result == results[0]));

    let planned = Planned::new(&shared, &graph, 1).unwrap();
    let (program, memory) = (Arc::clone(&planned.program), planned.memory.clone());
    drop(planned);
    let ticket = shared.submit(&program, program.compute(), &memory, &Run::default()).unwrap();
    let (other, started) = (cpu(1), Instant::now());
    drop(shared);
    // It ran, or it was given up, but nobody waits forever.
    assert!(matches!(other.wait(ticket), Ok(()) | Err(ExecError::Cancelled)));
    assert!(started.elapsed() < Duration::from_secs(10));
    // The engine lets go of the program when its thread is done with it.
    assert_eq!(Arc::strong_count(&program), 1);
}
