//! What a step keeps and what it computes again: never other numbers.

mod tiny;

use binary_nets_cpu::Cpu;
use binary_nets_data::SamplerState;
use binary_nets_exec::MemoryPolicy;
use binary_nets_graph::ops::{Arithmetic, Relu, Step, Surrogate};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_network::{Network, TrainingOptions, TrainingPlan};
use tiny::{BATCH, WIDTH, binary_conv, compile_with, cpu, dataset, everything, loader, model_of, objective, train};

const POLICIES: [MemoryPolicy; 3] = [MemoryPolicy::Speed, MemoryPolicy::Balanced, MemoryPolicy::Min];

/// Blocks enough that most of a step's memory is what forward leaves for backward.
fn deep() -> GraphSpec {
    model_of(|t, codes| {
        let conv = binary_conv(t, codes, WIDTH, "conv2");
        let mut x = t.norm(conv, WIDTH, "bn2");
        for block in ["a", "b", "c"] {
            let codes = t.add(Step { gradient: Surrogate::Approx, groups: 1 }, &[x], block);
            let conv = binary_conv(t, codes, WIDTH, &format!("{block}.conv"));
            let norm = t.norm(conv, WIDTH, &format!("{block}.bn"));
            let sum = t.add(Arithmetic::ADD, &[norm, x], block);
            x = t.add(Relu {}, &[sum], block);
        }
        (conv, x)
    })
}

fn options(memory: MemoryPolicy, accumulate: usize) -> TrainingOptions {
    TrainingOptions { memory, accumulate, ..TrainingOptions::default() }
}

fn network(cpu: Cpu) -> Network<Cpu> {
    Network::new(cpu, deep(), 7).unwrap()
}

#[test]
fn a_policy_changes_no_bit() {
    let data = dataset(96);
    for accumulate in [1, 2] {
        let run = |memory, threads| {
            let mut network = network(cpu(threads));
            compile_with(&mut network, &options(memory, accumulate));
            train(&mut network, &mut loader(&data, SamplerState::default()), 6);
            everything(&network)
        };
        let expected = run(MemoryPolicy::Speed, 1);
        for memory in POLICIES {
            for threads in [1, 2, 5] {
                assert!(run(memory, threads) == expected, "{memory:?}, {threads} threads, {accumulate} batches");
            }
        }
    }
}

#[test]
fn a_run_goes_on_with_another_policy() {
    let data = dataset(96);
    let mut uninterrupted = network(cpu(2));
    compile_with(&mut uninterrupted, &options(MemoryPolicy::Speed, 2));
    train(&mut uninterrupted, &mut loader(&data, SamplerState::default()), 5);

    // Between the batches of an update, too: in the same network, and from a file.
    let mut network = network(cpu(2));
    let mut batches = loader(&data, SamplerState::default());
    for memory in [MemoryPolicy::Min, MemoryPolicy::Balanced, MemoryPolicy::Speed] {
        compile_with(&mut network, &options(memory, 2));
        train(&mut network, &mut batches, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    network.save(&path, "").unwrap();
    let (mut network, _) = Network::open(cpu(1), &path).unwrap();
    compile_with(&mut network, &options(MemoryPolicy::Min, 2));
    train(&mut network, &mut batches, 2);
    assert!(everything(&network) == everything(&uninterrupted));
}

#[test]
fn a_plan_tells_what_a_step_takes_and_changes_nothing() {
    let mut network = network(cpu(1));
    let before = everything(&network);
    let updates = tiny::updates(&network);
    let plan = |network: &Network<Cpu>, memory| {
        network.plan_training(&objective(), &updates, BATCH, &options(memory, 1)).unwrap()
    };
    let [speed, balanced, min] = POLICIES.map(|memory| plan(&network, memory));
    assert!(everything(&network) == before);

    let sum = |plan: &TrainingPlan| plan.peak.held.iter().map(|held| held.bytes).sum::<usize>() + plan.peak.scratch;
    for plan in [&speed, &balanced, &min] {
        assert!(sum(plan) <= plan.workspace_bytes, "{plan:?}");
        assert!(plan.kept.iter().any(|held| held.op == "step" && held.value.starts_with("bit(step)")), "{plan:?}");
    }
    assert!(speed.again.is_empty());
    assert!(min.again.iter().any(|again| again.op == "binary_conv2d"), "{:?}", min.again);
    assert!(min.workspace_bytes <= balanced.workspace_bytes && balanced.workspace_bytes < speed.workspace_bytes);

    // A network that trains takes what its plan said.
    for accumulate in [1, 2] {
        let options = options(MemoryPolicy::Min, accumulate);
        let plan = |network: &Network<Cpu>| network.plan_training(&objective(), &updates, BATCH, &options).unwrap();
        let planned = plan(&network);
        assert!(sum(&planned) <= planned.workspace_bytes, "{planned:?}");
        let before = network.bytes();
        compile_with(&mut network, &options);
        assert!(network.bytes() > before);
        assert_eq!(network.bytes(), planned.state_bytes + planned.workspace_bytes + planned.batch_bytes);
        assert_eq!(plan(&network), planned);
    }
}
