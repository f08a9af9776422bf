//! Batch norms with what stands right behind them, and right in front.

use binary_nets_graph::Graph;
use binary_nets_graph::passes::{fuse_norms, keep_integers};

use crate::text::{assert_graph, graph};

const MAPS: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[4,4,2],"meaning":"f32"} ()
    %s = input {"name":"s","shape":[4,4,2],"meaning":"f32"} ()
    %c = state {"path":"c","shape":[2],"kind":"parameter","init":ZERO} ()"#;

fn norm(names: &str, x: &str) -> String {
    format!("\n    {names} = batch_norm {{\"eps\":1e-5,\"momentum\":0.1}} ({x}, %c, %c, %c, %c) @bn")
}

fn fused(names: &str, x: &str, [add, relu]: [bool; 2], other: &str) -> String {
    format!("\n    {names} = batch_norm_fused {{\"eps\":1e-5,\"add\":{add},\"relu\":{relu}}} ({x}, %c, %c{other}) @bn")
}

#[test]
fn a_sum_and_a_rectifier_go_into_the_sweep() {
    let statistics = "\n    output mean = %m\n    output var = %v";
    let sum = "\n    %z = arithmetic {\"function\":\"add\"} (%s, %y)";
    let given =
        MAPS.to_owned() + &norm("%y, %m, %v", "%x") + sum + "\n    %r = relu {} (%z)\n    output r = %r" + statistics;
    let expected =
        MAPS.to_owned() + &fused("%r, %m, %v", "%x", [true, true], ", %s") + "\n    output r = %r" + statistics;
    assert_graph(&fuse_norms(&graph(&given)).unwrap(), &expected);

    let given = MAPS.to_owned() + &norm("%y, %m, %v", "%x") + "\n    %r = relu {} (%y)\n    output r = %r" + statistics;
    let expected = MAPS.to_owned() + &fused("%r, %m, %v", "%x", [false, true], "") + "\n    output r = %r" + statistics;
    assert_graph(&fuse_norms(&graph(&given)).unwrap(), &expected);

    // A rectifier that reads the sum beside others reads what the sweep writes.
    let readers = "\n    %r = relu {} (%z)\n    output r = %r\n    output z = %z";
    let given = MAPS.to_owned() + &norm("%y, %m, %v", "%x") + sum + readers;
    let expected = MAPS.to_owned() + &fused("%z, %m, %v", "%x", [true, false], ", %s") + readers;
    assert_graph(&fuse_norms(&graph(&given)).unwrap(), &expected);
}

#[test]
fn of_two_norms_that_are_added_the_later_one_takes_the_other() {
    let sum = "\n    %z = arithmetic {\"function\":\"add\"} (%y, %q)\n    output z = %z";
    let given = MAPS.to_owned() + &norm("%y, %m, %v", "%x") + &norm("%q, %n, %w", "%s") + sum;
    let expected = MAPS.to_owned()
        + &norm("%y, %m, %v", "%x")
        + &fused("%z, %n, %w", "%s", [true, false], ", %y")
        + "\n    output z = %z";
    assert_graph(&fuse_norms(&graph(&given)).unwrap(), &expected);
}

#[test]
fn what_others_read_stays_as_it_is() {
    let behind = [
        // The norm's own result, or its statistics before the end of the sweep.
        "\n    %r = relu {} (%y)\n    output r = %r\n    output y = %y",
        "\n    %t = unary {\"function\":\"exp\"} (%m)\n    %r = relu {} (%y)\n    output r = %r\n    output t = %t",
        // An operand that is stretched, itself, or another op.
        "\n    %z = arithmetic {\"function\":\"add\"} (%y, %c)\n    output z = %z",
        "\n    %z = arithmetic {\"function\":\"add\"} (%y, %y)\n    output z = %z",
        "\n    %z = arithmetic {\"function\":\"mul\"} (%y, %s)\n    output z = %z",
        "\n    output y = %y",
    ];
    for behind in behind {
        let given = MAPS.to_owned() + &norm("%y, %m, %v", "%x") + behind;
        assert_graph(&fuse_norms(&graph(&given)).unwrap(), &given);
    }
}

const CONVOLUTION: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[4,4,3],"meaning":{"bit":{"codes":"sign","groups":1}}} ()
    %g = input {"name":"g","shape":[4,4,2],"meaning":"f32"} ()
    %w = state {"path":"w","shape":[2,3,3,3],"kind":"parameter","init":ZERO} ()
    %c = state {"path":"c","shape":[2],"kind":"parameter","init":ZERO} ()
    %b, %a = binarize_weight {"scale":"channel","gradient":"identity","groups":1} (%w)"#;

fn convolution(alpha: &str) -> String {
    let window = r#""window":{"kernel":[3,3],"stride":[1,1],"padding":[1,1],"dilation":[1,1]}"#;
    format!("\n    %d = binary_conv2d {{{window},\"pad_value\":0}} (%x, %b{alpha}) @conv")
}

fn norm_and_gradient(alpha: &str) -> String {
    format!(
        "
    %y, %m, %v = batch_norm {{\"eps\":1e-5,\"momentum\":0.1}} (%d, %c, %c, %c, %c{alpha}) @bn
    %dd, %dc, %db = batch_norm_grad {{\"eps\":1e-5}} (%d, %c, %m, %v, %g{alpha}) @bn
    output y = %y
    output dd = %dd"
    )
}

#[test]
fn integers_are_kept_for_norms() {
    let given = CONVOLUTION.to_owned() + &convolution(", %a") + &norm_and_gradient("");
    let expected = CONVOLUTION.to_owned() + &convolution("") + &norm_and_gradient(", %a");
    assert_graph(&keep_integers(&graph(&given)).unwrap(), &expected);

    // The sweep of a norm takes α along.
    let relu = "\n    %y, %m, %v = batch_norm {\"eps\":1e-5,\"momentum\":0.1} (%d, %c, %c, %c, %c, %a) @bn\n    %r = relu {} (%y)";
    let sweep = "\n    %r, %m, %v = batch_norm_fused {\"eps\":1e-5,\"add\":false,\"relu\":true} (%d, %c, %c, %a) @bn";
    let [given, expected] =
        [relu, sweep].map(|norm| CONVOLUTION.to_owned() + &convolution("") + norm + "\n    output r = %r");
    assert_graph(&fuse_norms(&graph(&given)).unwrap(), &expected);
}

/// Sums of more than 16 bits.
#[test]
fn integers_are_kept_that_two_bytes_hold() {
    for (channels, kept) in [(32_767, true), (32_768, false)] {
        let source = format!(
            r#"graph batch=2
    %x = input {{"name":"x","shape":[1,1,{channels}],"meaning":{{"bit":{{"codes":"sign","groups":1}}}}}} ()
    %w = state {{"path":"w","shape":[2,{channels},1,1],"kind":"parameter","init":ZERO}} ()
    %g = input {{"name":"g","shape":[1,1,2],"meaning":"f32"}} ()
    %c = state {{"path":"c","shape":[2],"kind":"parameter","init":ZERO}} ()
    %b, %a = binarize_weight {{"scale":"tensor","gradient":"identity","groups":1}} (%w)
    %d = binary_conv2d {{"window":W1,"pad_value":0}} (%x, %b, %a) @conv"#
        ) + &norm_and_gradient("");
        let conv = |graph: &Graph| graph.nodes().iter().find(|n| n.op.name() == "binary_conv2d").unwrap().inputs.len();
        assert_eq!(conv(&keep_integers(&graph(&source)).unwrap()), if kept { 2 } else { 3 }, "{channels}");
    }
}

/// It may take the memory of its input then.
#[test]
fn a_norm_without_a_gradient_reads_floats() {
    let norm =
        "\n    %y, %m, %v = batch_norm {\"eps\":1e-5,\"momentum\":0.1} (%d, %c, %c, %c, %c) @bn\n    output y = %y";
    let given = CONVOLUTION.to_owned() + &convolution(", %a") + norm;
    assert_graph(&keep_integers(&graph(&given)).unwrap(), &given);
}

#[test]
fn what_others_read_stays_floats() {
    let norm = norm_and_gradient("");
    for reader in [
        "\n    %r = relu {} (%d)\n    output r = %r",
        "\n    output d = %d",
        // The gradient of a norm by its own result.
        "\n    %q, %qc, %qb = batch_norm_grad {\"eps\":1e-5} (%g, %c, %m, %v, %d) @bn\n    output q = %q",
    ] {
        let given = CONVOLUTION.to_owned() + &convolution(", %a") + &norm + reader;
        assert_graph(&keep_integers(&graph(&given)).unwrap(), &given);
    }
}
