//! What training adds to a graph: optimizers and running statistics.

use crate::text::{assert_graph, graph};
use binary_nets_graph::ops::{Adam, Sgd, StatisticsMomentum};
use binary_nets_graph::passes::{Update, UpdateRule, attach_statistics, attach_updates};
use binary_nets_graph::{Graph, GraphError, Value};

const PARAMETERS: &str = r#"graph batch=1
    %w = state {"path":"w","shape":[2],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"b","shape":[3],"kind":"latent","init":ZERO} ()
    %c = state {"path":"c","shape":[],"kind":"parameter","init":ZERO} ()
    %dw = fill {"value":0.5,"shape":[2]} ()
    %db = fill {"value":0.25,"shape":[3]} ()
    %dc = fill {"value":2.0,"shape":[]} ()"#;

const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clamp: Some(1.0) };

/// The gradients of w, b and c: the nodes behind the states.
fn gradients(graph: &Graph) -> Vec<(String, Value)> {
    let values: Vec<Value> = graph.values().collect();
    ["w", "b", "c"].into_iter().map(str::to_owned).zip(values[3..].iter().copied()).collect()
}

fn update(path: &str, rule: UpdateRule, lr: &str) -> Update {
    Update { path: path.to_owned(), rule, lr: lr.to_owned() }
}

fn sgd(momentum: f32) -> UpdateRule {
    UpdateRule::Sgd(Sgd { momentum, nesterov: false, weight_decay: 0.0, clamp: None })
}

#[test]
fn moments_counter_and_rates_are_made_once() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    let updates = [
        update("w", sgd(0.75), "lr"),
        update("b", UpdateRule::Adam(ADAM), "lr"),
        update("c", UpdateRule::Adam(ADAM), "slow"),
    ];
    attach_updates(&mut actual, &gradients, &updates).unwrap();
    let adam = r#"adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":1.0}"#;
    let expected = r##"
        %lr = scalar {"name":"lr"} ()
        %w_v = state {"path":"w#velocity","shape":[2],"kind":"moment","init":ZERO} ()
        sgd {"momentum":0.75,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr, %w_v) @w
        %t = state {"path":"#t","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%t)
        %b_m = state {"path":"b#m","shape":[3],"kind":"moment","init":ZERO} ()
        %b_v = state {"path":"b#v","shape":[3],"kind":"moment","init":ZERO} ()
        ADAM (%b, %db, %lr, %t, %b_m, %b_v) @b
        %slow = scalar {"name":"slow"} ()
        %c_m = state {"path":"c#m","shape":[],"kind":"moment","init":ZERO} ()
        %c_v = state {"path":"c#v","shape":[],"kind":"moment","init":ZERO} ()
        ADAM (%c, %dc, %slow, %t, %c_m, %c_v) @c
        %finite = finite {} (%dw, %db, %dc)
        output #finite = %finite"##;
    assert_graph(&actual, &(PARAMETERS.to_owned() + &expected.replace("ADAM", adam)));
}

#[test]
fn sgd_without_momentum_has_no_velocity() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    attach_updates(&mut actual, &gradients, &[update("w", sgd(0.0), "lr")]).unwrap();
    let expected = r#"
        %lr = scalar {"name":"lr"} ()
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr) @w
        %finite = finite {} (%dw)
        output #finite = %finite"#;
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn parameters_without_a_gradient_stay() {
    let mut actual = graph(PARAMETERS);
    attach_updates(&mut actual, &[], &[update("w", sgd(0.5), "lr")]).unwrap();
    let expected = r"
        %finite = finite {} ()
        output #finite = %finite";
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn a_gradient_of_an_unknown_parameter_is_named() {
    let mut actual = graph(PARAMETERS);
    let gradients = [("q".to_owned(), gradients(&actual)[0].1)];
    let error = attach_updates(&mut actual, &gradients, &[update("q", sgd(0.5), "lr")]).unwrap_err();
    let known = "w, b, c".to_owned();
    assert_eq!(error, GraphError::Unknown { kind: "parameter", name: "q".to_owned(), known });
}

#[test]
fn statistics_follow_by_the_norms_momentum_or_another() {
    let source = r#"graph batch=5
        %x = input {"name":"x","shape":[2,3,4],"meaning":"f32"} ()
        %g = state {"path":"bn.weight","shape":[4],"kind":"parameter","init":ZERO} ()
        %b = state {"path":"bn.bias","shape":[4],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[4],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[4],"kind":"statistic","init":ZERO} ()
        %y, %mean, %variance = batch_norm {"eps":0.5,"momentum":0.125} (%x, %g, %b, %m, %v) @bn"#;
    // Each statistic is taken over 5 images of 2×3 pixels.
    let own = r#"
        update_statistics {"momentum":{"fixed":0.125},"count":30} (%m, %v, %mean, %variance) @bn"#;
    let other = r#"
        update_statistics {"momentum":"cumulative","count":30} (%m, %v, %mean, %variance) @bn"#;
    for (momentum, expected) in [(None, own), (Some(StatisticsMomentum::Cumulative), other)] {
        let mut actual = graph(source);
        attach_statistics(&mut actual, momentum).unwrap();
        assert_graph(&actual, &(source.to_owned() + expected));
    }
}
