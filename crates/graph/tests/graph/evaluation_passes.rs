//! From training to evaluation: norms and dropouts, calibration, dead code.

use crate::text::{assert_graph, graph};
use binary_nets_graph::passes::{calibration, dce, evaluation};

const MODEL: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
    %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
    %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()
    %d, %passed = dropout {"p":0.5,"stream":7} (%x) @drop
    %n, %mean, %variance = batch_norm {"eps":0.5,"momentum":0.125} (%d, %g, %b, %m, %v) @bn
    %y, %passed2 = dropout {"p":0.5,"stream":8} (%n) @drop2
    %loss = softmax_cross_entropy {"label_smoothing":0.0} (%y, %label) @loss
    output logits = %y
    output mean = %mean
    output loss = %loss"#;

#[test]
fn evaluation_uses_running_statistics_and_drops_nothing() {
    assert_graph(
        &evaluation(&graph(MODEL)).unwrap(),
        r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
        %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
        %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()
        %n = batch_norm_inference {"eps":0.5} (%x, %g, %b, %m, %v) @bn
        %loss = softmax_cross_entropy {"label_smoothing":0.0} (%n, %label) @loss
        output logits = %n
        output mean = %m
        output loss = %loss"#,
    );
}

#[test]
fn calibration_only_updates_statistics() {
    assert_graph(
        &calibration(&graph(MODEL)).unwrap(),
        r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
        %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()
        %n, %mean, %variance = batch_norm {"eps":0.5,"momentum":0.125} (%x, %g, %b, %m, %v) @bn
        update_statistics {"momentum":"cumulative","count":2} (%m, %v, %mean, %variance) @bn"#,
    );
}

#[test]
fn dead_nodes_and_leaves_go_and_updates_stay() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[2],"meaning":"f32"} ()
        %unread = input {"name":"unread","shape":[2],"meaning":"f32"} ()
        %w = state {"path":"w","shape":[2],"kind":"parameter","init":ZERO} ()
        %dw = fill {"value":1.0,"shape":[2]} ()
        %lr = scalar {"name":"lr"} ()
        %y = relu {} (%x) @y
        %dead = relu {} (%y) @dead
        %deader = relu {} (%dead) @deader
        %kept, %mask = dropout {"p":0.5,"stream":0} (%y) @half
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr) @w
        output mask = %mask"#;
    let expected = r#"graph batch=1
        %x = input {"name":"x","shape":[2],"meaning":"f32"} ()
        %w = state {"path":"w","shape":[2],"kind":"parameter","init":ZERO} ()
        %dw = fill {"value":1.0,"shape":[2]} ()
        %lr = scalar {"name":"lr"} ()
        %y = relu {} (%x) @y
        %kept, %mask = dropout {"p":0.5,"stream":0} (%y) @half
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr) @w
        output mask = %mask"#;
    let once = dce(&graph(source)).unwrap();
    assert_graph(&once, expected);
    assert_graph(&dce(&once).unwrap(), expected);
}

#[test]
fn retained_outputs_decide_what_is_dead() {
    let mut evaluated = evaluation(&graph(MODEL)).unwrap();
    evaluated.retain_outputs(&["logits"]).unwrap();
    let text = dce(&evaluated).unwrap().dump();
    assert!(!text.contains("loss") && !text.contains("label") && text.contains("output logits"), "{text}");
    let error = evaluated.retain_outputs(&["logit"]).unwrap_err();
    assert_eq!(error.to_string(), "there is no output 'logit'; there are: logits");
}
