//! The culprit of a number that is not finite.

use binary_nets_exec::{Run, first_non_finite};
use binary_nets_graph::Graph;

use crate::backend::{Planned, Vectors};

fn planned(x: &[f32]) -> Planned {
    let graph = Graph::parse(
        r#"graph batch=2
        %w = state {"path":"w","shape":[2],"kind":"parameter","init":{"constant":0.0}} ()
        %x = input {"name":"x","shape":[],"meaning":"f32"} ()
        %lr = scalar {"name":"lr"} ()
        %a = relu {} (%x) @first
        %b = unary {"function":"log"} (%a) @layer2.0.log
        %c = unary {"function":"neg"} (%b) @third
        %d = relu {} (%c) @fourth
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %d, %lr) @w
        output d = %d"#,
    );
    let planned = Planned::new(&graph.unwrap(), 1).unwrap();
    planned.set_state("w", &[1.0, 2.0]);
    planned.set_input("x", 0, x);
    planned.set_input("lr", 0, &[f32::INFINITY]);
    planned
}

fn culprit(planned: &Planned) -> Option<(&'static str, String)> {
    let step = first_non_finite(&Vectors, &planned.program, &planned.memory, &Run::default()).unwrap();
    step.map(|step| (step.op, step.path.clone()))
}

#[test]
fn the_first_step_that_is_not_finite_is_found_and_no_state_changes() {
    for x in [[1.0, -1.0], [-1.0, 2.0]] {
        let planned = planned(&x);
        assert_eq!(culprit(&planned), Some(("unary", "layer2.0.log".to_owned())));
        assert_eq!(planned.state("w"), [1.0, 2.0]);
    }
}

#[test]
fn finite_numbers_have_no_culprit() {
    let planned = planned(&[1.0, 2.0]);
    assert_eq!(culprit(&planned), None);
    assert_eq!(planned.state("w"), [1.0, 2.0]);
}
