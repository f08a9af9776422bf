//! What training adds to a graph: optimizers and running statistics.

use crate::text::{assert_graph, graph};
use binary_nets_graph::ops::{Adam, Bop, Sgd, StatisticsMomentum};
use binary_nets_graph::passes::{
    Update, UpdateRule, accumulate_gradients, accumulated_gradients, attach_averages, attach_statistics,
    attach_updates, clip_gradients,
};
use binary_nets_graph::{Graph, GraphError, Value};

const PARAMETERS: &str = r#"graph batch=1
    %w = state {"path":"w","shape":[2],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"b","shape":[3],"kind":"latent","init":ZERO} ()
    %c = state {"path":"c","shape":[],"kind":"parameter","init":ZERO} ()
    %dw = fill {"value":0.5,"shape":[2]} ()
    %db = fill {"value":0.25,"shape":[3]} ()
    %dc = fill {"value":2.0,"shape":[]} ()"#;

const ADAM: Adam =
    Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clamp: Some(1.0), decoupled: false, amsgrad: false };

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
fn every_parameter_has_moments_and_a_counter_and_rates_are_shared() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    let updates = [
        update("w", sgd(0.75), "lr"),
        update("b", UpdateRule::Adam(ADAM), "lr"),
        update("c", UpdateRule::Adam(ADAM), "slow"),
    ];
    attach_updates(&mut actual, &gradients, None, &updates).unwrap();
    let adam = r#"adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":1.0}"#;
    let expected = r#"
        %lr = scalar {"name":"lr"} ()
        %w_v = state {"path":"w#velocity","shape":[2],"kind":"moment","init":ZERO} ()
        sgd {"momentum":0.75,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr, %w_v) @w
        %b_t = state {"path":"b#t","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%b_t) @b
        %b_m = state {"path":"b#m","shape":[3],"kind":"moment","init":ZERO} ()
        %b_v = state {"path":"b#v","shape":[3],"kind":"moment","init":ZERO} ()
        ADAM (%b, %db, %lr, %b_t, %b_m, %b_v) @b
        %slow = scalar {"name":"slow"} ()
        %c_t = state {"path":"c#t","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%c_t) @c
        %c_m = state {"path":"c#m","shape":[],"kind":"moment","init":ZERO} ()
        %c_v = state {"path":"c#v","shape":[],"kind":"moment","init":ZERO} ()
        ADAM (%c, %dc, %slow, %c_t, %c_m, %c_v) @c
        %finite = finite {} (%dw, %db, %dc)
        output #finite = %finite"#;
    assert_graph(&actual, &(PARAMETERS.to_owned() + &expected.replace("ADAM", adam)));
}

#[test]
fn sgd_without_momentum_has_no_velocity() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    attach_updates(&mut actual, &gradients, None, &[update("w", sgd(0.0), "lr")]).unwrap();
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
    attach_updates(&mut actual, &[], None, &[update("w", sgd(0.5), "lr")]).unwrap();
    let expected = r"
        %finite = finite {} ()
        output #finite = %finite";
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn a_gradient_of_an_unknown_parameter_is_named() {
    let mut actual = graph(PARAMETERS);
    let gradients = [("q".to_owned(), gradients(&actual)[0].1)];
    let error = attach_updates(&mut actual, &gradients, None, &[update("q", sgd(0.5), "lr")]).unwrap_err();
    let known = "w, b, c".to_owned();
    assert_eq!(error, GraphError::Unknown { kind: "parameter", name: "q".to_owned(), known });
}

#[test]
fn amsgrad_and_bop_have_moments_of_their_own() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    let amsgrad = UpdateRule::Adam(Adam { decoupled: true, amsgrad: true, ..ADAM });
    let updates = [update("w", amsgrad, "lr"), update("b", UpdateRule::Bop(Bop { threshold: 1e-8 }), "gamma")];
    attach_updates(&mut actual, &gradients, None, &updates).unwrap();
    let expected = r#"
        %lr = scalar {"name":"lr"} ()
        %t = state {"path":"w#t","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%t) @w
        %m = state {"path":"w#m","shape":[2],"kind":"moment","init":ZERO} ()
        %v = state {"path":"w#v","shape":[2],"kind":"moment","init":ZERO} ()
        %vmax = state {"path":"w#vmax","shape":[2],"kind":"moment","init":ZERO} ()
        adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":1.0,"decoupled":true,"amsgrad":true} (%w, %dw, %lr, %t, %m, %v, %vmax) @w
        %gamma = scalar {"name":"gamma"} ()
        %b_m = state {"path":"b#momentum","shape":[3],"kind":"moment","init":ZERO} ()
        bop {"threshold":1e-8} (%b, %db, %gamma, %b_m) @b
        %finite = finite {} (%dw, %db)
        output #finite = %finite"#;
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn gradients_are_clipped_by_the_norm_of_all_and_it_is_checked_too() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    let (clipped, norm) = clip_gradients(&mut actual, &gradients[..2], 5.0).unwrap();
    attach_updates(&mut actual, &clipped, Some(norm), &[update("w", sgd(0.0), "lr")]).unwrap();
    let expected = r#"
        %norm = global_norm {} (%dw, %db)
        %most = fill {"value":5.0,"shape":[]} ()
        %eps = fill {"value":1e-6,"shape":[]} ()
        %one = fill {"value":1.0,"shape":[]} ()
        %above = arithmetic {"function":"add"} (%norm, %eps)
        %ratio = arithmetic {"function":"div"} (%most, %above)
        %factor = arithmetic {"function":"min"} (%ratio, %one)
        %cw = arithmetic {"function":"mul"} (%dw, %factor) @w
        %cb = arithmetic {"function":"mul"} (%db, %factor) @b
        %lr = scalar {"name":"lr"} ()
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %cw, %lr) @w
        %finite = finite {} (%norm, %cw)
        output #finite = %finite"#;
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn gradients_are_summed_until_the_last_batch() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    accumulate_gradients(&mut actual, &gradients[..2]).unwrap();
    let expected = r##"
        %aw = state {"path":"w#gradient","shape":[2],"kind":"moment","init":ZERO} ()
        %sw = arithmetic {"function":"add"} (%aw, %dw) @w
        assign {} (%aw, %sw) @w
        %ab = state {"path":"b#gradient","shape":[3],"kind":"moment","init":ZERO} ()
        %sb = arithmetic {"function":"add"} (%ab, %db) @b
        assign {} (%ab, %sb) @b
        %n = state {"path":"#accumulated","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%n)
        %finite = finite {} (%sw, %sb)
        output #finite = %finite"##;
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

#[test]
fn the_last_batch_takes_the_mean_and_clears_the_sums() {
    let mut actual = graph(PARAMETERS);
    let gradients = gradients(&actual);
    for (path, value) in accumulated_gradients(&mut actual, &gradients[1..], 4).unwrap() {
        actual.set_output(&path, value);
    }
    let expected = r##"
        %batches = fill {"value":4.0,"shape":[]} ()
        %ab = state {"path":"b#gradient","shape":[3],"kind":"moment","init":ZERO} ()
        %sb = arithmetic {"function":"add"} (%ab, %db) @b
        clear {} (%ab) @b
        %mb = arithmetic {"function":"div"} (%sb, %batches) @b
        %ac = state {"path":"c#gradient","shape":[],"kind":"moment","init":ZERO} ()
        %sc = arithmetic {"function":"add"} (%ac, %dc) @c
        clear {} (%ac) @c
        %mc = arithmetic {"function":"div"} (%sc, %batches) @c
        %n = state {"path":"#accumulated","shape":[],"kind":"moment","init":ZERO} ()
        clear {} (%n)
        output b = %mb
        output c = %mc"##;
    assert_graph(&actual, &(PARAMETERS.to_owned() + expected));
}

/// Not moments, not what stays, and what is updated twice only once.
#[test]
fn averages_follow_what_is_updated() {
    let source = r#"graph batch=5
        %w = state {"path":"w","shape":[4],"kind":"latent","init":ZERO} ()
        %still = state {"path":"still","shape":[4],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[4],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[4],"kind":"statistic","init":ZERO} ()
        %t = state {"path":"w#t","shape":[],"kind":"moment","init":ZERO} ()
        %lr = scalar {"name":"lr"} ()
        update_statistics {"momentum":{"fixed":0.125},"count":30} (%m, %v, %still, %w) @bn
        update_statistics {"momentum":{"fixed":0.125},"count":30} (%m, %v, %still, %w) @bn
        increment {} (%t)
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %still, %lr) @w"#;
    let mut actual = graph(source);
    attach_averages(&mut actual, 0.999).unwrap();
    let expected = r#"
        %ma = state {"path":"bn.running_mean#average","shape":[4],"kind":"moment","init":ZERO} ()
        moving_average {"decay":0.999} (%ma, %m) @bn.running_mean
        %va = state {"path":"bn.running_var#average","shape":[4],"kind":"moment","init":ZERO} ()
        moving_average {"decay":0.999} (%va, %v) @bn.running_var
        %wa = state {"path":"w#average","shape":[4],"kind":"moment","init":ZERO} ()
        moving_average {"decay":0.999} (%wa, %w) @w"#;
    assert_graph(&actual, &(source.to_owned() + expected));
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
