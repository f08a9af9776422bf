//! Freezing, text in and two texts out.

use crate::text::{assert_graph, graph};
use binary_nets_graph::Graph;
use binary_nets_graph::passes::{Frozen, dce, freeze};

pub fn frozen(source: &str) -> Frozen {
    freeze(&graph(source)).unwrap()
}

/// The run graph of one output alone.
pub fn run_of(source: &str, output: &str) -> Graph {
    let mut run = frozen(source).run;
    run.retain_outputs(&[output]).unwrap();
    dce(&run).unwrap()
}

/// A binary convolution and its norm's constants; what reads them is added.
pub const CONV: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
    %codes = sign {"gradient":"identity","groups":1} (%x) @conv
    %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
    %bits, %alpha = binarize_weight {"scale":"channel","gradient":"clip","groups":1} (%w) @conv
    %d = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits, %alpha) : f32[1,2,2,3] @conv
    %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()"#;

/// The fold graph's part of it.
const CONV_FOLD: &str = r#"graph batch=1
    %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
    %bits, %alpha = binarize_weight {"scale":"channel","gradient":"clip","groups":1} (%w) @conv
    %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()"#;

/// The run graph's part of it: the convolution yields exact integers, 3·3 taps of 2 channels at most.
const CONV_RUN: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
    %codes = sign {"gradient":"identity","groups":1} (%x) @conv
    %bits = state {"path":"conv.bits","shape":[3,3,3,2],"kind":"constant","init":ZERO,"meaning":SIGN} ()
    %d = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits) : int(-18..18)[1,2,2,3] @conv"#;

pub const NORM: &str = r#"
    %y = batch_norm_inference {"eps":0.5} (%d, %g, %b, %m, %v) @bn"#;

const NORM_RUN: &str = r#"
    %a = state {"path":"bn.a","shape":[3],"kind":"constant","init":ZERO} ()
    %c = state {"path":"bn.c","shape":[3],"kind":"constant","init":ZERO} ()
    %y = affine {} (%d, %a, %c) @bn
    output y = %y"#;

#[test]
fn a_norm_takes_the_weight_scale_into_its_affine() {
    let Frozen { fold, run } = frozen(&format!("{CONV}{NORM}\noutput y = %y"));
    let folded = r#"
        %a, %c = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":0.5}}]} (%alpha, %g, %b, %m, %v) @bn
        output conv.bits = %bits
        output bn.a = %a
        output bn.c = %c"#;
    assert_graph(&fold, &format!("{CONV_FOLD}{folded}"));
    assert_graph(&run, &format!("{CONV_RUN}{NORM_RUN}"));
}

#[test]
fn a_convolution_without_a_norm_has_an_affine_of_its_scale() {
    let Frozen { fold, run } = frozen(&format!("{CONV}\n%r = relu {{}} (%d) @relu\noutput r = %r"));
    let folded = r#"
        %a, %c = fold_affine {"channels":3,"steps":["scale"]} (%alpha) @conv
        output conv.bits = %bits
        output conv.scale.a = %a
        output conv.scale.c = %c"#;
    let scaled = r#"
        %a = state {"path":"conv.scale.a","shape":[3],"kind":"constant","init":ZERO} ()
        %c = state {"path":"conv.scale.c","shape":[3],"kind":"constant","init":ZERO} ()
        %y = affine {} (%d, %a, %c) @conv
        %r = relu {} (%y) @relu
        output r = %r"#;
    assert_graph(&fold, &format!("{CONV_FOLD}{folded}"));
    assert_graph(&run, &format!("{CONV_RUN}{scaled}"));
}

#[test]
fn asking_for_an_activation_does_not_change_the_norm() {
    let source = format!("{CONV}{NORM}\noutput conv = %d\noutput y = %y");
    assert_graph(&run_of(&source, "y"), &format!("{CONV_RUN}{NORM_RUN}"));
    let text = run_of(&source, "conv").dump();
    assert!(text.contains("conv.scale.a") && !text.contains("bn.a"), "{text}");
}

#[test]
fn another_reader_in_front_of_the_norm_does_not_change_the_norm() {
    let source = format!("{CONV}\n%r = relu {{}} (%d) @relu{NORM}\noutput r = %r\noutput y = %y");
    assert_graph(&run_of(&source, "y"), &format!("{CONV_RUN}{NORM_RUN}"));
}

#[test]
fn several_readers_share_one_affine_of_the_scale() {
    let source = format!("{CONV}\n%r = relu {{}} (%d) @r\n%s = relu {{}} (%d) @s\noutput r = %r\noutput s = %s");
    assert_eq!(frozen(&source).run.dump().matches(" = affine ").count(), 1);
}

#[test]
fn a_norm_of_floats_is_an_affine_without_a_scale() {
    let source = r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
        %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()
        %y = batch_norm_inference {"eps":0.5} (%x, %g, %b, %m, %v) @bn
        output y = %y"#;
    let Frozen { fold, run } = frozen(source);
    assert_graph(
        &fold,
        r#"graph batch=2
        %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
        %b = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
        %m = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
        %v = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":ZERO} ()
        %a, %c = fold_affine {"channels":3,"steps":[{"norm":{"eps":0.5}}]} (%g, %b, %m, %v) @bn
        output bn.a = %a
        output bn.c = %c"#,
    );
    assert_graph(
        &run,
        r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %a = state {"path":"bn.a","shape":[3],"kind":"constant","init":ZERO} ()
        %c = state {"path":"bn.c","shape":[3],"kind":"constant","init":ZERO} ()
        %y = affine {} (%x, %a, %c) @bn
        output y = %y"#,
    );
}

#[test]
fn a_layer_that_is_called_twice_folds_twice() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
        %w = state {"path":"conv.weight","shape":[2,2,1,1],"kind":"latent","init":"kaiming_normal"} ()
        %s1 = sign {"gradient":"identity","groups":1} (%x) @conv
        %b1, %a1 = binarize_weight {"scale":"tensor","gradient":"clip","groups":1} (%w) @conv
        %y1 = binary_conv2d {"window":W1,"pad_value":0} (%s1, %b1, %a1) @conv
        %s2 = sign {"gradient":"identity","groups":1} (%y1) @conv
        %b2, %a2 = binarize_weight {"scale":"tensor","gradient":"clip","groups":1} (%w) @conv
        %y2 = binary_conv2d {"window":W1,"pad_value":0} (%s2, %b2, %a2) @conv
        output y = %y2"#;
    let Frozen { fold, run } = frozen(source);
    assert_graph(
        &fold,
        r#"graph batch=1
        %w = state {"path":"conv.weight","shape":[2,2,1,1],"kind":"latent","init":"kaiming_normal"} ()
        %b1, %alpha1 = binarize_weight {"scale":"tensor","gradient":"clip","groups":1} (%w) @conv
        %a1, %c1 = fold_affine {"channels":2,"steps":["scale"]} (%alpha1) @conv
        %b2, %alpha2 = binarize_weight {"scale":"tensor","gradient":"clip","groups":1} (%w) @conv
        %a2, %c2 = fold_affine {"channels":2,"steps":["scale"]} (%alpha2) @conv
        output conv.bits = %b1
        output conv.scale.a = %a1
        output conv.scale.c = %c1
        output conv.bits' = %b2
        output conv.scale.a' = %a2
        output conv.scale.c' = %c2"#,
    );
    assert_graph(
        &run,
        r#"graph batch=1
        %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
        %s1 = sign {"gradient":"identity","groups":1} (%x) @conv
        %b1 = state {"path":"conv.bits","shape":[2,1,1,2],"kind":"constant","init":ZERO,"meaning":SIGN} ()
        %d1 = binary_conv2d {"window":W1,"pad_value":0} (%s1, %b1) @conv
        %a1 = state {"path":"conv.scale.a","shape":[2],"kind":"constant","init":ZERO} ()
        %c1 = state {"path":"conv.scale.c","shape":[2],"kind":"constant","init":ZERO} ()
        %y1 = affine {} (%d1, %a1, %c1) @conv
        %s2 = sign {"gradient":"identity","groups":1} (%y1) @conv
        %b2 = state {"path":"conv.bits'","shape":[2,1,1,2],"kind":"constant","init":ZERO,"meaning":SIGN} ()
        %d2 = binary_conv2d {"window":W1,"pad_value":0} (%s2, %b2) @conv
        %a2 = state {"path":"conv.scale.a'","shape":[2],"kind":"constant","init":ZERO} ()
        %c2 = state {"path":"conv.scale.c'","shape":[2],"kind":"constant","init":ZERO} ()
        %y2 = affine {} (%d2, %a2, %c2) @conv
        output y = %y2"#,
    );
}

#[test]
fn a_learned_slope_stands_in_the_run_graph_and_constants_in_the_fold_graph() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
        %s = state {"path":"relu.weight","shape":[3],"kind":"parameter","init":{"constant":0.25}} ()
        %y = prelu {} (%x, %s) @relu
        %c = constant {"values":[1.0,2.0,3.0],"shape":[3]} () @scale
        %t = arithmetic {"function":"mul"} (%s, %c) @scale
        %z = prelu {} (%y, %t) @again
        %v = arithmetic {"function":"mul"} (%z, %c) @scale
        %h = one_hot {} (%label) @label
        %u = arithmetic {"function":"mul"} (%v, %h) @scale
        output u = %u"#;
    let Frozen { fold, run } = frozen(source);
    assert_graph(
        &fold,
        r#"graph batch=1
        %s = state {"path":"relu.weight","shape":[3],"kind":"parameter","init":{"constant":0.25}} ()
        %c = constant {"values":[1.0,2.0,3.0],"shape":[3]} () @scale
        %t = arithmetic {"function":"mul"} (%s, %c) @scale
        output relu.weight = %s
        output scale.arithmetic5 = %t
        output scale.constant4 = %c"#,
    );
    assert_graph(
        &run,
        r#"graph batch=1
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
        %s = state {"path":"relu.weight","shape":[3],"kind":"constant","init":ZERO} ()
        %y = prelu {} (%x, %s) @relu
        %t = state {"path":"scale.arithmetic5","shape":[3],"kind":"constant","init":ZERO} ()
        %z = prelu {} (%y, %t) @again
        %h = one_hot {} (%label) @label
        %c = state {"path":"scale.constant4","shape":[3],"kind":"constant","init":ZERO} ()
        %v = arithmetic {"function":"mul"} (%z, %c) @scale
        %u = arithmetic {"function":"mul"} (%v, %h) @scale
        output u = %u"#,
    );
}

#[test]
fn what_depends_on_states_alone_is_computed_once() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %w = state {"path":"fc.weight","shape":[3,2],"kind":"parameter","init":ZERO} ()
        %half = fill {"value":0.5,"shape":[]} () @fc
        %h = arithmetic {"function":"mul"} (%w, %half) @fc
        %t = unary {"function":"exp"} (%h) @fc
        %y = matmul {"transpose_a":false,"transpose_b":false} (%x, %t) @fc
        %z = matmul {"transpose_a":false,"transpose_b":false} (%x, %t) @again
        output y = %y
        output z = %z
        output weight = %w"#;
    let Frozen { fold, run } = frozen(source);
    assert_graph(
        &fold,
        r#"graph batch=1
        %w = state {"path":"fc.weight","shape":[3,2],"kind":"parameter","init":ZERO} ()
        %half = fill {"value":0.5,"shape":[]} () @fc
        %h = arithmetic {"function":"mul"} (%w, %half) @fc
        %t = unary {"function":"exp"} (%h) @fc
        output fc.unary4 = %t
        output fc.weight = %w"#,
    );
    assert_graph(
        &run,
        r#"graph batch=1
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %t = state {"path":"fc.unary4","shape":[3,2],"kind":"constant","init":ZERO} ()
        %y = matmul {"transpose_a":false,"transpose_b":false} (%x, %t) @fc
        %z = matmul {"transpose_a":false,"transpose_b":false} (%x, %t) @again
        %w = state {"path":"fc.weight","shape":[3,2],"kind":"constant","init":ZERO} ()
        output y = %y
        output z = %z
        output weight = %w"#,
    );
}

/// A number, and one for each channel.
pub const LAMBDA: &str = r#"
    %l = state {"path":"lambda","shape":[3],"kind":"parameter","init":ZERO} ()"#;

/// A second norm, of other constants.
const NORM2_CONSTANTS: &str = r#"
    %g2 = state {"path":"bn2.weight","shape":[3],"kind":"parameter","init":ZERO} ()
    %b2 = state {"path":"bn2.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %m2 = state {"path":"bn2.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
    %v2 = state {"path":"bn2.running_var","shape":[3],"kind":"statistic","init":ZERO} ()"#;

/// The run graph of [`CONV`] that ends in an affine with constants of that name.
fn conv_run(name: &str, path: &str) -> String {
    let affine = r#"
    %a = state {"path":"NAME.a","shape":[3],"kind":"constant","init":ZERO} ()
    %c = state {"path":"NAME.c","shape":[3],"kind":"constant","init":ZERO} ()
    %y = affine {} (%d, %a, %c) @PATH
    output y = %y"#;
    format!("{CONV_RUN}{}", affine.replace("NAME", name).replace("PATH", path))
}

#[test]
fn a_product_behind_a_norm_joins_its_affine() {
    for shape in ["[3]", "[1]", "[]"] {
        for operands in ["%n, %l", "%l, %n"] {
            let norm = NORM.replace("%y", "%n");
            let lambda = LAMBDA.replace("[3]", shape);
            let product = format!("\n%y = arithmetic {{\"function\":\"mul\"}} ({operands}) @scaled");
            let Frozen { fold, run } = frozen(&format!("{CONV}{norm}{lambda}{product}\noutput y = %y"));
            let folded = r#"
        %a, %c = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":0.5}},"scale"]} (%alpha, %g, %b, %m, %v, %l) @scaled
        output conv.bits = %bits
        output scaled.scale.a = %a
        output scaled.scale.c = %c"#;
            assert_graph(&fold, &format!("{CONV_FOLD}{lambda}{folded}"));
            assert_graph(&run, &conv_run("scaled.scale", "scaled"));
        }
    }
}

/// α, λ, a norm, λ, a norm, and every prefix of it as an output.
#[test]
fn a_run_of_constants_is_one_affine_wherever_it_is_read() {
    let lines = r#"
    %d1 = arithmetic {"function":"mul"} (%d, %l) @one
    %d2 = batch_norm_inference {"eps":0.5} (%d1, %g, %b, %m, %v) @two
    %d3 = arithmetic {"function":"mul"} (%l, %d2) @three
    %d4 = batch_norm_inference {"eps":0.25} (%d3, %g2, %b2, %m2, %v2) @four"#;
    let source = format!("{CONV}{LAMBDA}{NORM2_CONSTANTS}{lines}");
    let read = "\noutput d = %d\noutput d1 = %d1\noutput d2 = %d2\noutput d3 = %d3\noutput y = %d4";
    let Frozen { fold, run } = frozen(&format!("{source}{read}"));
    for (i, (name, path)) in
        [("conv.scale", "conv"), ("one.scale", "one"), ("two", "two"), ("three.scale", "three"), ("four", "four")]
            .into_iter()
            .enumerate()
    {
        let output = ["d", "d1", "d2", "d3", "y"][i];
        let expected = conv_run(name, path).replace("output y", &format!("output {output}"));
        assert_graph(&run_of(&format!("{source}{read}"), output), &expected);
        let alone = format!("{source}\noutput {output} = %{}", if output == "y" { "d4" } else { output });
        assert_graph(&run_of(&alone, output), &expected);
    }
    assert_eq!(run.dump().matches(" = affine ").count(), 5);
    let steps = r#""steps":["scale","scale",{"norm":{"eps":0.5}},"scale",{"norm":{"eps":0.25}}]"#;
    assert!(fold.dump().contains(steps), "{}", fold.dump());
}

/// A batch of two maps, so that no extent is another.
const FLOATS: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[4,5,3],"meaning":"f32"} ()
    %l = state {"path":"lambda","shape":SHAPE,"kind":"parameter","init":ZERO} ()
    %y = arithmetic {"function":"mul"} (%l, %x) @scaled"#;

#[test]
fn a_product_alone_stays_one() {
    for shape in ["[3]", "[]", "[4,5,3]", "[5,1]", "[2,1,1,1]", "[1,1,1,3]"] {
        let source = format!("{FLOATS}\noutput y = %y").replace("SHAPE", shape);
        let run = r#"graph batch=2
    %x = input {"name":"x","shape":[4,5,3],"meaning":"f32"} ()
    %l = state {"path":"lambda","shape":SHAPE,"kind":"constant","init":ZERO} ()
    %y = arithmetic {"function":"mul"} (%l, %x) @scaled
    output y = %y"#;
        assert_graph(&frozen(&source).run, &run.replace("SHAPE", shape));
    }
}

#[test]
fn a_product_and_a_norm_of_floats_are_one_affine() {
    let norm = CONV.split_once("    %g = ").unwrap().1;
    let source = format!("{FLOATS}\n    %g = {norm}{}\noutput y = %n", NORM.replace("%y", "%n").replace("%d", "%y"));
    for (shape, folds) in [("[3]", true), ("[1]", true), ("[4,5,3]", false), ("[5,1]", false)] {
        let Frozen { fold, run } = frozen(&source.replace("SHAPE", shape));
        let product = run.dump().contains("arithmetic");
        let steps =
            if folds { r#""steps":["scale",{"norm":{"eps":0.5}}]"# } else { r#""steps":[{"norm":{"eps":0.5}}]"# };
        assert!(product != folds && fold.dump().contains(steps), "{shape}: {}{}", fold.dump(), run.dump());
    }
}

/// Of a vector the only axis is the batch's, and no channel.
#[test]
fn numbers_of_a_batch_are_no_channels() {
    let source = r#"graph batch=3
    %x = input {"name":"x","shape":[],"meaning":"f32"} ()
    %l = state {"path":"lambda","shape":[3],"kind":"parameter","init":ZERO} ()
    %y = arithmetic {"function":"mul"} (%x, %l) @p
    %z = arithmetic {"function":"mul"} (%y, %l) @p
    output z = %z"#;
    assert_eq!(frozen(source).run.dump().matches(" = arithmetic ").count(), 2);
}
