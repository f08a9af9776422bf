//! Freezing with weights in fewer bits, and with layers that can be asked for.

use binary_nets_graph::Graph;
use binary_nets_graph::passes::{Floats, Freezing, Frozen, dce, freeze_with};

use crate::text::{assert_graph, graph};

/// A convolution of floats, and products with a matrix from either side of its axes; the convolution's weights are read by themselves too.
const PRODUCTS: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
    %w = state {"path":"conv.weight","shape":[3,2,1,1],"kind":"parameter","init":ZERO} ()
    %y = conv2d {"window":W1,"groups":1} (%x, %w) @conv
    %flat = reshape {"dims":[0,-1]} (%y) @flat
    %m = state {"path":"fc.weight","shape":[3,3],"kind":"parameter","init":ZERO} ()
    %p = matmul {"transpose_a":false,"transpose_b":true} (%flat, %m) @fc
    %q = matmul {"transpose_a":false,"transpose_b":false} (%p, %m) @again
    %again = conv2d {"window":W1,"groups":1} (%x, %w) @conv
    %r = relu {} (%w) @relu
    output q = %q
    output again = %again"#;

fn frozen(source: &str, floats: Floats) -> Frozen {
    freeze_with(&graph(source), &Freezing { floats, ..Freezing::default() }).unwrap()
}

#[test]
fn half_weights_are_rounded_in_the_fold() {
    let Frozen { fold, run } = frozen(PRODUCTS, Floats::F16);
    let expected = r#"graph batch=1
        %w = state {"path":"conv.weight","shape":[3,2,1,1],"kind":"parameter","init":ZERO} ()
        %wh = round_half {} (%w) @conv
        %m = state {"path":"fc.weight","shape":[3,3],"kind":"parameter","init":ZERO} ()
        %mh = round_half {} (%m) @fc
        %mh2 = round_half {} (%m) @again
        output conv.weight = %wh
        output fc.weight = %mh
        output fc.weight' = %mh2"#;
    assert_graph(&dce(&fold).unwrap(), expected);
    let products = run.nodes().iter().filter(|node| ["conv2d", "matmul"].contains(&node.op.name())).count();
    assert_eq!((products, run.nodes().iter().filter(|node| node.op.name() == "state").count()), (4, 3));
}

#[test]
fn eight_bit_weights_have_a_scale_for_each_output() {
    let Frozen { fold, run } = frozen(PRODUCTS, Floats::Int8);
    let expected = r#"graph batch=1
        %w = state {"path":"conv.weight","shape":[3,2,1,1],"kind":"parameter","init":ZERO} ()
        %wq, %ws = quantize_weight {"axis":0} (%w) @conv
        %m = state {"path":"fc.weight","shape":[3,3],"kind":"parameter","init":ZERO} ()
        %mq, %ms = quantize_weight {"axis":0} (%m) @fc
        %nq, %ns = quantize_weight {"axis":1} (%m) @again
        output conv.weight.q = %wq
        output conv.weight.s = %ws
        output fc.weight.q = %mq
        output fc.weight.s = %ms
        output fc.weight.q' = %nq
        output fc.weight.s' = %ns"#;
    assert_graph(&dce(&fold).unwrap(), expected);
    let expected = r#"graph batch=1
        %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
        %wq = state {"path":"conv.weight.q","shape":[3,2,1,1],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-127,"max":127}}} ()
        %ws = state {"path":"conv.weight.s","shape":[3],"kind":"constant","init":ZERO} ()
        %w = dequantize {"axis":0} (%wq, %ws) @conv
        %y = conv2d {"window":W1,"groups":1} (%x, %w) @conv
        %flat = reshape {"dims":[0,-1]} (%y) @flat
        %mq = state {"path":"fc.weight.q","shape":[3,3],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-127,"max":127}}} ()
        %ms = state {"path":"fc.weight.s","shape":[3],"kind":"constant","init":ZERO} ()
        %m = dequantize {"axis":0} (%mq, %ms) @fc
        %p = matmul {"transpose_a":false,"transpose_b":true} (%flat, %m) @fc
        %nq = state {"path":"fc.weight.q'","shape":[3,3],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-127,"max":127}}} ()
        %ns = state {"path":"fc.weight.s'","shape":[3],"kind":"constant","init":ZERO} ()
        %n = dequantize {"axis":1} (%nq, %ns) @again
        %q = matmul {"transpose_a":false,"transpose_b":false} (%p, %n) @again
        %again = conv2d {"window":W1,"groups":1} (%x, %w) @conv
        output q = %q
        output again = %again"#;
    assert_graph(&run, expected);
}

/// A norm behind a convolution, whose own values are gone then; a branch that leads nowhere.
const LAYERS: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
    %codes = sign {"gradient":"identity","groups":1} (%x) @conv
    %w = state {"path":"conv.weight","shape":[3,2,1,1],"kind":"latent","init":ZERO} ()
    %bits, %alpha = binarize_weight {"scale":"channel","gradient":"clip","groups":1} (%w) @conv
    %d = binary_conv2d {"window":W1,"pad_value":0} (%codes, %bits, %alpha) @conv
    %g = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":ZERO} ()
    %n = batch_norm_inference {"eps":0.5} (%d, %g, %g, %g, %g) @bn
    %r = relu {} (%n) @relu
    %aside = relu {} (%x) @aside
    output logits = %r
    output conv = %d
    output bn = %n
    output aside = %aside"#;

#[test]
fn layers_are_named_where_they_come_about_and_change_nothing() {
    let layers = ["conv", "bn", "aside"].map(str::to_owned).to_vec();
    let run = freeze_with(&graph(LAYERS), &Freezing { layers, ..Freezing::default() }).unwrap().run;
    let names = |graph: &Graph| graph.outputs().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&run), ["logits", "bn"]);
    let alone = |mut run: Graph| {
        run.retain_outputs(&["logits"]).unwrap();
        dce(&run).unwrap()
    };
    assert_eq!(alone(run).dump(), alone(frozen(LAYERS, Floats::F32).run).dump());
}
