//! The suite of every op, on every instruction set of this machine and several numbers of threads.

mod runner;

use binary_nets_conformance::suite::{Case, Outputs, Values, cases, check};
use binary_nets_cpu::Cpu;
use binary_nets_exec::Run;
use binary_nets_kernels::Isa;
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

/// Equal down to the sign of zeroes.
fn same(a: &Outputs, b: &Outputs) -> bool {
    let equal = |a: &Values, b: &Values| match (a, b) {
        (Values::F32(a), Values::F32(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
        (a, b) => a == b,
    };
    let all = |x: &Outputs| x.outputs.clone().into_iter().chain(x.states.clone()).collect::<Vec<_>>();
    let (a, b) = (all(a), all(b));
    a.len() == b.len() && a.iter().zip(&b).all(|((name, x), (other, y))| name == other && equal(x, y))
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
