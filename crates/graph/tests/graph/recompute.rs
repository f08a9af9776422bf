//! Nodes in another order, and again.

use binary_nets_graph::passes::recompute;

use crate::text::{assert_graph, graph};

const GRAPH: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
    %a = relu {} (%x) @a
    %b = unary {"function":"neg"} (%a) @b
    %c = unary {"function":"abs"} (%x) @c
    %d = arithmetic {"function":"add"} (%b, %a) @d
    %e = arithmetic {"function":"mul"} (%d, %c) @e
    output a = %a
    output e = %e"#;

#[test]
fn readers_read_the_last_before_them() {
    assert_graph(
        &recompute(&graph(GRAPH), &[0, 1, 2, 1, 4, 3, 5]).unwrap(),
        r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %a = relu {} (%x) @a
        %b = unary {"function":"neg"} (%a) @b
        %again = relu {} (%x) @a
        %d = arithmetic {"function":"add"} (%b, %again) @d
        %c = unary {"function":"abs"} (%x) @c
        %e = arithmetic {"function":"mul"} (%d, %c) @e
        output a = %again
        output e = %e"#,
    );
}

#[test]
fn what_is_read_must_stand_before() {
    assert!(recompute(&graph(GRAPH), &[0, 2, 1, 3, 4, 5]).is_err());
    assert!(recompute(&graph(GRAPH), &[0, 1, 2, 3, 4]).is_err(), "an output is missing");
}
