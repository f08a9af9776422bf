//! Freezing ternary convolutions.

use crate::freeze::{CONV, LAMBDA, frozen, run_of};
use crate::text::assert_graph;
use binary_nets_graph::passes::Frozen;

/// As [`CONV`], with ternary weights.
const TERNARY: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
    %codes = sign {"gradient":"identity","groups":1} (%x) @conv
    %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
    %wp = state {"path":"conv.w_p","shape":[1],"kind":"parameter","init":ZERO} ()
    %wn = state {"path":"conv.w_n","shape":[1],"kind":"parameter","init":ZERO} ()
    %p, %n = ternarize_weight {"threshold":0.05,"negative_gradient":"exact"} (%w, %wp, %wn) @conv
    %d = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %p, %n, %wp, %wn) : f32[1,2,2,3] @conv"#;

const TERNARY_FOLD: &str = r#"graph batch=1
    %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
    %wp = state {"path":"conv.w_p","shape":[1],"kind":"parameter","init":ZERO} ()
    %wn = state {"path":"conv.w_n","shape":[1],"kind":"parameter","init":ZERO} ()
    %p, %n = ternarize_weight {"threshold":0.05,"negative_gradient":"exact"} (%w, %wp, %wn) @conv"#;

const TERNARY_RUN: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
    %codes = sign {"gradient":"identity","groups":1} (%x) @conv
    %p = state {"path":"conv.positive","shape":[3,3,3,2],"kind":"constant","init":ZERO,"meaning":STEP} ()
    %n = state {"path":"conv.negative","shape":[3,3,3,2],"kind":"constant","init":ZERO,"meaning":STEP} ()
    %dp, %dn = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %p, %n) : int(-18..18)[1,2,2,3], int(-18..18)[1,2,2,3] @conv
    %ap = state {"path":"NAME.a_p","shape":[3],"kind":"constant","init":ZERO} ()
    %an = state {"path":"NAME.a_n","shape":[3],"kind":"constant","init":ZERO} ()
    %c = state {"path":"NAME.c","shape":[3],"kind":"constant","init":ZERO} ()
    %y = ternary_affine {} (%dp, %dn, %ap, %an, %c) @PATH"#;

#[test]
fn a_ternary_convolution_alone_has_an_affine_of_its_values() {
    let Frozen { fold, run } = frozen(&format!("{TERNARY}\noutput y = %d"));
    let folded = r#"
    %ap, %c = fold_affine {"channels":3,"steps":["scale"]} (%wp) @conv
    %an, %unused = fold_affine {"channels":3,"steps":["scale"]} (%wn) @conv
    output conv.positive = %p
    output conv.negative = %n
    output conv.scale.a_p = %ap
    output conv.scale.a_n = %an
    output conv.scale.c = %c"#;
    assert_graph(&fold, &format!("{TERNARY_FOLD}{folded}"));
    let run_text = format!("{TERNARY_RUN}\noutput y = %y").replace("NAME", "conv.scale").replace("PATH", "conv");
    assert_graph(&run, &run_text);
}

#[test]
fn constants_behind_a_ternary_convolution_are_folded_into_both_its_values() {
    let norm = CONV.split_once("    %g = ").unwrap().1;
    let norm = format!("\n    %g = {norm}");
    let lines = r#"
    %z = batch_norm_inference {"eps":0.5} (%d, %g, %b, %m, %v) @bn
    %y = arithmetic {"function":"mul"} (%z, %l) @scaled"#;
    let source = format!("{TERNARY}{norm}{LAMBDA}{lines}");
    let Frozen { fold, .. } = frozen(&format!("{source}\noutput y = %y"));
    let folded = r#"
    %ap, %c = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":0.5}},"scale"]} (%wp, %g, %b, %m, %v, %l) @scaled
    %an, %unused = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":0.5}},"scale"]} (%wn, %g, %b, %m, %v, %l) @scaled
    output conv.positive = %p
    output conv.negative = %n
    output scaled.scale.a_p = %ap
    output scaled.scale.a_n = %an
    output scaled.scale.c = %c"#;
    assert_graph(&fold, &format!("{TERNARY_FOLD}{norm}{LAMBDA}{folded}"));
    // Whoever reads it on the way changes nothing.
    for outputs in ["output y = %y", "output d = %d\noutput y = %y", "output z = %z\noutput d = %d\noutput y = %y"] {
        let run = run_of(&format!("{source}\n{outputs}"), "y");
        let expected =
            format!("{TERNARY_RUN}\noutput y = %y").replace("NAME", "scaled.scale").replace("PATH", "scaled");
        assert_graph(&run, &expected);
    }
    let run = run_of(&format!("{source}\noutput z = %z\noutput y = %y"), "z");
    assert_graph(&run, &format!("{TERNARY_RUN}\noutput z = %y").replace("NAME", "bn").replace("PATH", "bn"));
}
