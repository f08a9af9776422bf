//! The times of a program's steps.

use std::num::NonZero;

use binary_nets_exec::{Backend, Run, profile};
use binary_nets_graph::Graph;

use crate::backend::{Planned, Vectors};

/// A million floats in `large`, four in all else.
fn planned() -> Planned {
    let graph = Graph::parse(
        r#"graph batch=4
        %w = state {"path":"w","shape":[4],"kind":"parameter","init":{"constant":0.0}} ()
        %x = input {"name":"x","shape":[],"meaning":"f32"} ()
        %lr = scalar {"name":"lr"} ()
        %a = relu {} (%x) @small
        %ones = fill {"value":1.0,"shape":[1000000]} () @large
        %b = relu {} (%ones) @large
        %c = unary {"function":"neg"} (%a) @small
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %c, %lr) @w
        output c = %c
        output b = %b"#,
    );
    let planned = Planned::new(&graph.unwrap(), 1).unwrap();
    planned.set_state("w", &[1.0, 2.0, 3.0, 4.0]);
    planned.set_input("x", 0, &[5.0, -6.0, 7.0, 8.0]);
    planned.set_input("lr", 0, &[1.0]);
    planned
}

#[test]
fn each_step_is_timed() {
    let planned = planned();
    let times =
        profile(&Vectors, &planned.program, &planned.memory, &Run::default(), NonZero::new(3).unwrap()).unwrap();
    let names = |time: &binary_nets_exec::StepTime| (time.op, time.path.clone(), time.kernel);
    let steps = planned.program.steps().iter();
    let expected: Vec<_> = steps.map(|step| (step.op, step.path.clone(), step.kernel_name)).collect();
    assert_eq!(times.iter().map(names).collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 5);

    // A million floats against four: 250,000 times the work, of which the overhead of a step and other work of the machine may hide a lot.
    let longest = |path| times.iter().filter(|time| time.path == path).map(|time| time.seconds).fold(0.0, f64::max);
    let shortest = times.iter().filter(|time| time.path == "large").map(|time| time.seconds).fold(1.0, f64::min);
    assert!(shortest > longest("small"), "{times:?}");

    // Three updates by the gradient −5, 0, −7, −8 with a rate of 1.
    assert_eq!(planned.state("w"), [16.0, 2.0, 24.0, 28.0]);
    assert_eq!(planned.output("c", 0), [-5.0, -0.0, -7.0, -8.0]);
}

#[test]
fn steps_run_in_order_so_that_each_finds_its_inputs() {
    let (profiled, run) = (planned(), planned());
    profile(&Vectors, &profiled.program, &profiled.memory, &Run::default(), NonZero::new(2).unwrap()).unwrap();
    Vectors.run(&run.program, run.program.compute(), &run.memory, &Run::default()).unwrap();
    for name in ["b", "c"] {
        assert_eq!(profiled.output(name, 0), run.output(name, 0), "{name}");
    }
}
