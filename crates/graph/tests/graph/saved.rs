//! What waits for backward in few bytes.

use binary_nets_graph::Graph;
use binary_nets_graph::passes::{Differentiated, differentiate, quantize_slopes, share_codes};

use crate::text::{assert_graph, graph};

/// The gradient of x behind codes that are summed, with what the first half saves, and how backward reads it.
fn behind_codes(gradient: &str, saved: &str, dx: &str) -> String {
    format!(
        r#"graph batch=1
        %x = state {{"path":"x","shape":[1,2,2,2],"kind":"parameter","init":ZERO}} ()
        %codes = sign {{"gradient":"{gradient}","groups":1}} (%x) @conv{saved}
        %w = state {{"path":"w","shape":[3,2,3,3],"kind":"parameter","init":ZERO}} ()
        %bits, %alpha = binarize_weight {{"scale":"channel","gradient":"identity","groups":1}} (%w) @conv
        %y = binary_conv2d {{"window":W3,"pad_value":0}} (%codes, %bits, %alpha) @conv
        %loss = reduce {{"reduction":"sum","axes":[0,1,2,3],"keep":false}} (%y) @loss
        output loss = %loss"#
    ) + dx
}

fn backward(dx: &str) -> String {
    format!(
        r#"
        %one = fill {{"value":1.0,"shape":[]}} ()
        %kept = reshape {{"dims":[1,1,1,1]}} (%one) @loss
        %dy = broadcast_to {{"shape":[1,2,2,3]}} (%kept) @loss
        %dcodes = binary_conv2d_grad_input {{"window":W3,"groups":1,"input":[2,2]}} (%dy, %bits, %alpha) @conv
        %dx = {dx} @conv
        output d x = %dx"#
    )
}

/// The graph with the gradient of x among its outputs.
fn gradient_of_x(source: &str) -> Graph {
    let Differentiated { mut graph, gradients, .. } = differentiate(&graph(source), "loss", &["x"]).unwrap();
    graph.set_output("d x", gradients[0].1);
    graph
}

#[test]
fn of_a_clip_where_it_passes() {
    let given = behind_codes("clip", "", "");
    let mask = "\n        %m = interval_mask {\"min\":-1.0,\"max\":1.0,\"flat\":true} (%x) @conv";
    let expected = behind_codes("clip", mask, &backward("apply_mask {\"scale\":1.0} (%m, %dcodes)"));
    assert_graph(&gradient_of_x(&given), &expected);
}

/// The gradient of p, which a map is made of, behind two signs of that map.
fn behind_two_signs(slopes: &str, [first, second]: [&str; 2]) -> String {
    let forward = r#"graph batch=1
        %p = state {"path":"p","shape":[4],"kind":"parameter","init":ZERO} ()
        %x = unary {"function":"neg"} (%p) @map"#;
    let behind = format!(
        r#"
        %g = state {{"path":"g","shape":[4],"kind":"parameter","init":ZERO}} ()
        %dx1 = {first} %g) @one
        %dx2 = {second} %g) @two
        %dx3 = surrogate_grad {{"gradient":"approx"}} (%p, %g) @three
        output dx1 = %dx1
        output dx2 = %dx2
        output dx3 = %dx3"#
    );
    forward.to_owned() + slopes + &behind
}

#[test]
fn of_a_slope_a_byte_where_that_is_enough() {
    let exact = "surrogate_grad {\"gradient\":\"approx\"} (%x,";
    let given = behind_two_signs("", [exact; 2]);
    // Made where x is, and once; what a state holds waits anyway.
    let slope =
        |name: &str, path: &str| format!("\n        %{name} = quantize_slope {{\"gradient\":\"approx\"}} (%x) @{path}");
    let read = |name: &str| format!("quantized_slope_grad {{\"gradient\":\"approx\"}} (%{name},");
    let twice = behind_two_signs(&(slope("q", "one") + &slope("r", "two")), [&read("q"), &read("r")]);
    let once = behind_two_signs(&slope("q", "one"), [&read("q"), &read("q")]);
    let quantized = quantize_slopes(&graph(&given)).unwrap();
    assert_graph(&quantized, &twice);
    assert_graph(&share_codes(&quantized).unwrap(), &once);
}

#[test]
fn codes_that_two_ask_for_are_made_once() {
    let codes = |second: &str, reader: &str| {
        format!(
            r#"graph batch=2
            %x = input {{"name":"x","shape":[4],"meaning":"f32"}} ()
            %g = input {{"name":"g","shape":[4],"meaning":"f32"}} ()
            %codes = step {{"gradient":"approx","groups":1}} (%x) @conv{second}
            %dx = apply_mask {{"scale":1.0}} ({reader}, %g) @relu
            output codes = %codes
            output dx = %dx"#
        )
    };
    let mask = "\n            %mask = step {\"gradient\":\"identity\",\"groups\":1} (%x) @relu";
    assert_graph(&share_codes(&graph(&codes(mask, "%mask"))).unwrap(), &codes("", "%codes"));

    // Those in other groups, of another kind, or of another map are others.
    let others = r#"graph batch=2
        %x = input {"name":"x","shape":[4],"meaning":"f32"} ()
        %y = relu {} (%x)
        %a = step {"gradient":"clip","groups":1} (%x)
        %b = step {"gradient":"clip","groups":2} (%x)
        %c = sign {"gradient":"clip","groups":1} (%x)
        %d = step {"gradient":"clip","groups":1} (%y)
        output a = %a
        output b = %b
        output c = %c
        output d = %d"#;
    assert_graph(&share_codes(&graph(others)).unwrap(), others);
}
