//! The suite of every op, on every instruction set of this machine and several numbers of threads.

#[path = "runner/copied.rs"]
mod copied;
mod runner;

use std::collections::BTreeSet;

use binary_nets_conformance::suite::{Case, Outputs, cases, check};
use binary_nets_cpu::Cpu;
use binary_nets_exec::Run;
use binary_nets_graph::ops::{Arithmetic, BatchNormFused, Constant, Relu};
use binary_nets_graph::passes::{fuse_norms, keep_integers};
use binary_nets_graph::{Meaning, Op};
use binary_nets_kernels::Isa;
use copied::{same, with_copied_leaf};
use runner::Planned;

/// Runs a case of the conformance suite.
fn run_case(cpu: &Cpu, case: &Case) -> Result<Outputs, String> {
    let planned = Planned::new(cpu, &case.graph, 1).map_err(|e| e.to_string())?;
    planned.write(&case.inputs, 0);
    let randomness = case.inputs.randomness;
    let run = Run { seed: randomness.seed, step: randomness.step, ..Run::default() };
    planned.run(&run).map_err(|e| e.to_string())?;
    Ok(planned.read(0))
}

/// Leaves and outputs of a program stay where they are, so copies stand in for them here.
#[test]
fn outputs_that_replace_inputs_have_the_same_bits() {
    let cpu = Cpu::new(Some(2), Isa::detect()).unwrap();
    let mut replacing: BTreeSet<(&str, usize)> = BTreeSet::new();
    for case in cases() {
        let (mut expected, graph) = (None, &case.graph);
        for value in graph.values() {
            let written = graph.nodes().iter().any(|n| n.op.writes().iter().any(|&w| n.inputs[w] == value));
            let is_leaf = graph.producer(value).op.is_leaf() && !written;
            if !is_leaf || graph.meta(value).meaning != Meaning::F32 {
                continue;
            }
            let copied = with_copied_leaf(graph, value.index());
            let Ok(planned) = Planned::new(&cpu, &copied, 1) else { continue };
            let steps = planned.program.steps().iter().filter(|step| step.op != "stop_gradient");
            let replaced: Vec<_> = steps.filter_map(|step| Some((step.op, step.replaced?.input))).collect();
            if replaced.is_empty() {
                continue;
            }
            replacing.extend(replaced);
            let expected = expected.get_or_insert_with(|| run_case(&cpu, &case).unwrap());
            let got = run_case(&cpu, &Case { graph: copied, ..case.clone() }).unwrap();
            assert!(same(&got, expected), "{} in place of {value}", case.name);
        }
    }
    let expected = [
        ("apply_mask", vec![1]),
        ("arithmetic", vec![0, 1]),
        ("batch_norm", vec![0]),
        ("batch_norm_fused", vec![0, 3]),
        ("batch_norm_grad", vec![0, 4]),
        ("batch_norm_inference", vec![0]),
        ("clamp", vec![0]),
        ("prelu", vec![0]),
        ("quantized_slope_grad", vec![1]),
        ("relu", vec![0]),
        ("reshape", vec![0]),
        ("surrogate_grad", vec![0, 1]),
        ("unary", vec![0]),
    ];
    for (op, inputs) in expected {
        for input in inputs {
            assert!(replacing.contains(&(op, input)), "{op} replaces no input {input}");
        }
    }
}

#[test]
fn a_norm_has_the_same_bits_with_what_stands_behind_it_in_its_sweep() {
    let mut fused_norms = 0;
    for case in cases().into_iter().filter(|case| case.name.starts_with("batch_norm/")) {
        let norm = case.graph.output("y0").unwrap();
        let shape = case.graph.meta(norm).shape.clone();
        for (add, rectify) in [(true, true), (true, false), (false, true)] {
            let mut graph = case.graph.clone();
            let mut y = norm;
            if add {
                let values = (0..shape.elements()).map(|i| (i * 7 % 31) as f32 / 8.0 - 2.0).collect();
                let other = graph.add_one(Constant { values, shape: shape.clone() }, &[], "").unwrap();
                y = graph.add_one(Arithmetic::ADD, &[y, other], "").unwrap();
            }
            if rectify {
                y = graph.add_one(Relu {}, &[y], "").unwrap();
            }
            graph.set_output("y0", y);
            let fused = fuse_norms(&graph).unwrap();
            let expected = BatchNormFused { eps: 1e-5, add, relu: rectify }.into();
            fused_norms += usize::from(fused.nodes().iter().any(|node| node.op == expected));
            for isa in Isa::available() {
                let cpu = Cpu::new(Some(2), isa).unwrap();
                let [parts, sweep] = [&graph, &fused]
                    .map(|graph| run_case(&cpu, &Case { graph: graph.clone(), ..case.clone() }).unwrap());
                assert!(same(&parts, &sweep), "{} {add} {rectify} on {}", case.name, isa.name());
            }
        }
    }
    assert!(fused_norms > 0 && fused_norms.is_multiple_of(3), "{fused_norms}");
}

#[test]
fn a_norm_of_integers_has_the_bits_of_a_norm_of_floats() {
    let mut cases = cases();
    cases.retain(|case| case.name.starts_with("norm_behind_convolution/"));
    for case in &cases {
        let kept = keep_integers(&case.graph).unwrap();
        let integers = kept.nodes().iter().filter(|node| matches!(node.op, Op::BinaryConv2d(_)));
        assert_eq!(integers.map(|node| node.inputs.len()).collect::<Vec<_>>(), [2], "{}", case.name);
        for isa in Isa::available() {
            let cpu = Cpu::new(Some(2), isa).unwrap();
            let [floats, integers] = [&case.graph, &kept]
                .map(|graph| run_case(&cpu, &Case { graph: graph.clone(), ..case.clone() }).unwrap());
            assert!(same(&floats, &integers), "{} on {}", case.name, isa.name());
        }
    }
    assert_eq!(cases.len(), 9);
}

/// One backend is compared with the reference; the others must give its bits.
#[test]
fn every_op_agrees_with_the_reference_everywhere() {
    let base = Cpu::new(Some(1), Isa::Scalar).unwrap();
    let others: Vec<Cpu> = Isa::available()
        .into_iter()
        .flat_map(|isa| [1, 2, 5].map(|threads| Cpu::new(Some(threads), isa).unwrap()))
        .collect();
    let mut failures = Vec::new();
    for case in cases() {
        let result = run_case(&base, &case);
        if let Err(message) = result.as_ref().map_err(String::clone).and_then(|got| check(&case, got)) {
            failures.push(format!("{}: {message}", case.name));
        }
        for cpu in &others {
            let agrees = match (&result, &run_case(cpu, &case)) {
                (Ok(expected), Ok(got)) => same(got, expected),
                (expected, got) => expected == got,
            };
            if !agrees {
                failures.push(format!("{}: other bits on {} × {}", case.name, cpu.isa().name(), cpu.threads()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
