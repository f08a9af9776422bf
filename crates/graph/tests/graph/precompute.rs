//! What depends on constants alone, text in and two texts out.

use binary_nets_graph::passes::{Frozen, precompute};

use crate::text::{assert_graph, graph};

#[test]
fn what_depends_on_constants_alone_becomes_constants() {
    let Frozen { fold, run } = precompute(&graph(
        r#"graph batch=1
        %x = input {"name":"x","shape":[2],"meaning":"f32"} ()
        %q = state {"path":"w.q","shape":[3,2],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-127,"max":127}}} ()
        %s = state {"path":"w.s","shape":[3],"kind":"constant","init":ZERO} ()
        %w = dequantize {"axis":0} (%q, %s) @fc
        %y = matmul {"transpose_a":false,"transpose_b":true} (%x, %w) @fc
        %two = fill {"value":2.0,"shape":[]} () @two
        %scaled = arithmetic {"function":"mul"} (%s, %two) @two
        %z = arithmetic {"function":"mul"} (%y, %scaled) @z
        %again = arithmetic {"function":"add"} (%z, %s) @z
        output y = %again"#,
    ))
    .unwrap();
    assert_graph(
        &fold,
        r#"graph batch=1
        %q = state {"path":"w.q","shape":[3,2],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-127,"max":127}}} ()
        %s = state {"path":"w.s","shape":[3],"kind":"constant","init":ZERO} ()
        %w = dequantize {"axis":0} (%q, %s) @fc
        %two = fill {"value":2.0,"shape":[]} () @two
        %scaled = arithmetic {"function":"mul"} (%s, %two) @two
        output fc.dequantize = %w
        output two.arithmetic = %scaled
        output w.s = %s"#,
    );
    assert_graph(
        &run,
        r#"graph batch=1
        %x = input {"name":"x","shape":[2],"meaning":"f32"} ()
        %w = state {"path":"fc.dequantize","shape":[3,2],"kind":"constant","init":ZERO} ()
        %y = matmul {"transpose_a":false,"transpose_b":true} (%x, %w) @fc
        %scaled = state {"path":"two.arithmetic","shape":[3],"kind":"constant","init":ZERO} ()
        %z = arithmetic {"function":"mul"} (%y, %scaled) @z
        %s = state {"path":"w.s","shape":[3],"kind":"constant","init":ZERO} ()
        %again = arithmetic {"function":"add"} (%z, %s) @z
        output y = %again"#,
    );
}

#[test]
fn constants_keep_apart_whatever_states_are_called() {
    let Frozen { fold, run } = precompute(&graph(
        r#"graph batch=1
        %x = input {"name":"x","shape":[2],"meaning":"f32"} ()
        %s = state {"path":"s","shape":[2],"kind":"constant","init":ZERO} ()
        %r = relu {} (%s) @s
        %t = state {"path":"s.relu","shape":[2],"kind":"constant","init":ZERO} ()
        %y = arithmetic {"function":"add"} (%x, %r) @y
        %z = arithmetic {"function":"add"} (%y, %t) @z
        output z = %z"#,
    ))
    .unwrap();
    let outputs: Vec<_> =
        fold.outputs().iter().map(|(name, value)| (name.as_str(), fold.producer(*value).op.name())).collect();
    assert_eq!(outputs, [("s.relu", "relu"), ("s.relu'", "state")]);
    assert_eq!(run.nodes().iter().filter(|node| node.op.name() == "state").count(), 2);
}
