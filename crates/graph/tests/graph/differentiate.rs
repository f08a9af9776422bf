//! Differentiation, text in and text out.

use crate::text::{assert_graph, graph};
use binary_nets_graph::passes::differentiate;
use binary_nets_graph::{Graph, GraphError};

/// Differentiates the output `loss` and names each gradient `d PATH`.
fn gradients(source: &str, paths: &[&str]) -> Graph {
    let mut result = differentiate(&graph(source), "loss", paths).unwrap();
    for (path, gradient) in &result.gradients {
        result.graph.set_output(&format!("d {path}"), *gradient);
    }
    result.graph
}

#[test]
fn a_linear_layer() {
    let source = r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %w = state {"path":"fc.weight","shape":[4,3],"kind":"parameter","init":"kaiming_normal"} ()
        %b = state {"path":"fc.bias","shape":[4],"kind":"parameter","init":ZERO} ()
        %z = matmul {"transpose_a":false,"transpose_b":true} (%x, %w) @fc
        %y = arithmetic {"function":"add"} (%z, %b) @fc
        %loss = reduce {"reduction":"sum","axes":[0,1],"keep":false} (%y) @loss
        output loss = %loss"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1,1]} (%one) @loss
        %dy = broadcast_to {"shape":[2,4]} (%kept) : f32[2,4] @loss
        %rows = reduce {"reduction":"sum","axes":[0],"keep":false} (%dy) @fc
        %db = reshape {"dims":[4]} (%rows) @fc
        %dw = matmul {"transpose_a":true,"transpose_b":false} (%dy, %x) @fc
        output d fc.weight = %dw
        output d fc.bias = %db"#;
    assert_graph(&gradients(source, &["fc.bias", "fc.weight"]), &(source.to_owned() + backward));
}

#[test]
fn only_what_was_asked_for_is_differentiated() {
    let source = r#"graph batch=2
        %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
        %w = state {"path":"w","shape":[3,3],"kind":"parameter","init":"kaiming_normal"} ()
        %v = state {"path":"v","shape":[3,3],"kind":"parameter","init":"kaiming_normal"} ()
        %unused = state {"path":"unused","shape":[3],"kind":"parameter","init":ZERO} ()
        %y = matmul {"transpose_a":false,"transpose_b":false} (%x, %w) @first
        %r = relu {} (%y) @first
        %z = matmul {"transpose_a":false,"transpose_b":false} (%r, %v) @second
        %loss = reduce {"reduction":"mean","axes":[0,1],"keep":false} (%z) @loss
        output loss = %loss"#;
    // No mask of the relu is saved, and no gradient goes through the first layer.
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %count = fill {"value":6.0,"shape":[]} () @loss
        %share = arithmetic {"function":"div"} (%one, %count) @loss
        %kept = reshape {"dims":[1,1]} (%share) @loss
        %dz = broadcast_to {"shape":[2,3]} (%kept) @loss
        %dv = matmul {"transpose_a":true,"transpose_b":false} (%r, %dz) @second
        output d v = %dv"#;
    assert_graph(&gradients(source, &["v", "unused"]), &(source.to_owned() + backward));
}

#[test]
fn a_value_that_is_used_several_times_accumulates() {
    let source = r#"graph batch=1
        %s = state {"path":"s","shape":[3],"kind":"parameter","init":{"constant":0.5}} ()
        %q = arithmetic {"function":"mul"} (%s, %s) @square
        %r = relu {} (%s) @relu
        SAVED
        %t = arithmetic {"function":"add"} (%q, %r) @add
        %loss = reduce {"reduction":"sum","axes":[0],"keep":false} (%t) @loss
        output loss = %loss"#;
    // The relu's mask is made in the forward half, from its output, as bits.
    let mask = r#"%m = step {"gradient":"identity","groups":1} (%r) : bit(step)[3] @relu"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1]} (%one) @loss
        %dt = broadcast_to {"shape":[3]} (%kept) @loss
        %through_relu = apply_mask {"scale":1.0} (%m, %dt) @relu
        %left = arithmetic {"function":"mul"} (%dt, %s) @square
        %right = arithmetic {"function":"mul"} (%dt, %s) @square
        %two = arithmetic {"function":"add"} (%through_relu, %left) @square
        %three = arithmetic {"function":"add"} (%two, %right) @square
        output d s = %three"#;
    assert_graph(&gradients(&source.replace("SAVED", ""), &["s"]), &(source.replace("SAVED", mask) + backward));
}

#[test]
fn a_binary_block_saves_bits_and_statistics() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
        %p = state {"path":"pre.scale","shape":[2],"kind":"parameter","init":{"constant":1.0}} ()
        %a = arithmetic {"function":"mul"} (%x, %p) @pre
        %codes = sign {"gradient":"approx","groups":1} (%a) @conv
        %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
        %bits, %alpha = binarize_weight {"scale":"channel","gradient":"clip","groups":1} (%w) @conv
        SAVED
        %y = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits, %alpha) @conv
        %gamma = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":{"constant":1.0}} ()
        %beta = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
        %rm = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
        %rv = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":{"constant":1.0}} ()
        %n, %mean, %variance = batch_norm {"eps":1e-5,"momentum":0.1} (%y, %gamma, %beta, %rm, %rv) @bn
        %loss = reduce {"reduction":"sum","axes":[0,1,2,3],"keep":false} (%n) @loss
        output loss = %loss"#;
    let inside = r#"%inside = interval_mask {"min":-1.0,"max":1.0,"flat":true} (%w) : bit(step)[3,18] @conv"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1,1,1,1]} (%one) @loss
        %dn = broadcast_to {"shape":[1,2,2,3]} (%kept) @loss
        %dy, %dgamma, %dbeta = batch_norm_grad {"eps":1e-5} (%y, %gamma, %mean, %variance, %dn) @bn
        %dcodes = binary_conv2d_grad_input {"window":W3,"groups":1,"input":[2,2]} (%dy, %bits, %alpha) @conv
        %dq = binary_conv2d_grad_weight {"window":W3,"pad_value":0} (%codes, %dy) : f32[3,2,3,3] @conv
        %dw = apply_mask {"scale":1.0} (%inside, %dq) @conv
        %da = surrogate_grad {"gradient":"approx"} (%a, %dcodes) @conv
        %full = arithmetic {"function":"mul"} (%da, %x) @pre
        %pixels = reduce {"reduction":"sum","axes":[0,1,2],"keep":false} (%full) @pre
        %dp = reshape {"dims":[2]} (%pixels) @pre
        output d pre.scale = %dp
        output d conv.weight = %dw
        output d bn.weight = %dgamma
        output d bn.bias = %dbeta"#;
    assert_graph(
        &gradients(&source.replace("SAVED", ""), &["pre.scale", "conv.weight", "bn.weight", "bn.bias"]),
        &(source.replace("SAVED", inside) + backward),
    );
}

/// What is saved of ternary weights is their planes.
#[test]
fn a_ternary_convolution_saves_bits() {
    let source = r#"graph batch=1
        %x = state {"path":"x","shape":[1,2,2,2],"kind":"parameter","init":ZERO} ()
        %codes = sign {"gradient":"approx","groups":1} (%x) @conv
        %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"latent","init":"kaiming_normal"} ()
        %wp = state {"path":"conv.positive","shape":[1],"kind":"parameter","init":{"constant":1.0}} ()
        %wn = state {"path":"conv.negative","shape":[1],"kind":"parameter","init":{"constant":1.0}} ()
        %p, %n = ternarize_weight {"threshold":0.05,"negative_gradient":"published"} (%w, %wp, %wn) @conv
        %y = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %p, %n, %wp, %wn) @conv
        %loss = reduce {"reduction":"sum","axes":[0,1,2,3],"keep":false} (%y) @loss
        output loss = %loss"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1,1,1,1]} (%one) @loss
        %dy = broadcast_to {"shape":[1,2,2,3]} (%kept) @loss
        %dcodes = ternary_conv2d_grad_input {"window":W3,"groups":1,"input":[2,2]} (%dy, %p, %n, %wp, %wn) @conv
        %dq = binary_conv2d_grad_weight {"window":W3,"pad_value":0} (%codes, %dy) : f32[3,2,3,3] @conv
        %dw, %dwp, %dwn = ternarize_weight_grad {"negative_gradient":"published"} (%p, %n, %wp, %wn, %dq) @conv
        %dx = surrogate_grad {"gradient":"approx"} (%x, %dcodes) @conv
        output d x = %dx
        output d conv.weight = %dw
        output d conv.positive = %dwp
        output d conv.negative = %dwn"#;
    assert_graph(
        &gradients(source, &["x", "conv.weight", "conv.positive", "conv.negative"]),
        &(source.to_owned() + backward),
    );
}

/// Two signs and a weight with gradients of their own; what they become is inlined in the place of their path, and the scalar is read once.
#[test]
fn custom_gradients_are_inlined() {
    let source = r#"graph batch=1
        %x = input {"name":"x","shape":[1,1,2],"meaning":"f32"} ()
        %p = state {"path":"pre.scale","shape":[2],"kind":"parameter","init":{"constant":1.0}} ()
        %a = arithmetic {"function":"mul"} (%x, %p) @pre
        %codes = sign {"gradient":CUSTOM,"groups":1} (%a) @conv
        %w = state {"path":"conv.weight","shape":[3,2,1,1],"kind":"latent","init":"kaiming_normal"} ()
        %bits, %alpha = binarize_weight {"scale":"channel","gradient":CUSTOM,"groups":1} (%w) @conv
        %y = binary_conv2d {"window":W1,"pad_value":0} (%codes, %bits, %alpha) @conv
        %loss = reduce {"reduction":"sum","axes":[0,1,2,3],"keep":false} (%y) @loss
        output loss = %loss"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1,1,1,1]} (%one) @loss
        %dy = broadcast_to {"shape":[1,1,1,3]} (%kept) @loss
        %dcodes = binary_conv2d_grad_input {"window":W1,"groups":1,"input":[1,1]} (%dy, %bits, %alpha) @conv
        %dq = binary_conv2d_grad_weight {"window":W1,"pad_value":0} (%codes, %dy) : f32[3,2,1,1] @conv
        %progress = scalar {"name":"progress"} () @conv
        %dw = arithmetic {"function":"mul"} (%dq, %progress) @conv
        %da = arithmetic {"function":"mul"} (%dcodes, %progress) @conv
        %full = arithmetic {"function":"mul"} (%da, %x) @pre
        %pixels = reduce {"reduction":"sum","axes":[0,1,2],"keep":false} (%full) @pre
        %dp = reshape {"dims":[2]} (%pixels) @pre
        output d pre.scale = %dp
        output d conv.weight = %dw"#;
    let graph = gradients(source, &["pre.scale", "conv.weight"]);
    assert_graph(&graph, &(source.to_owned() + backward));
    assert_eq!(Graph::parse(&graph.dump()).unwrap(), graph);
}

#[test]
fn a_learned_slope_saves_its_input_and_a_mask() {
    let source = r#"graph batch=1
        %x = state {"path":"x","shape":[2,3],"kind":"parameter","init":ZERO} ()
        %s = state {"path":"s","shape":[1],"kind":"parameter","init":{"constant":0.25}} ()
        %y = prelu {} (%x, %s) @relu
        SAVED
        %loss = reduce {"reduction":"sum","axes":[0,1],"keep":false} (%y) @loss
        output loss = %loss"#;
    let mask = r#"%m = step {"gradient":"identity","groups":1} (%x) @relu"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %kept = reshape {"dims":[1,1]} (%one) @loss
        %dy = broadcast_to {"shape":[2,3]} (%kept) @loss
        %sloped = arithmetic {"function":"mul"} (%dy, %s) @relu
        %dx = select {} (%m, %dy, %sloped) @relu
        %zero = fill {"value":0.0,"shape":[]} () @relu
        %negative = arithmetic {"function":"min"} (%x, %zero) @relu
        %product = arithmetic {"function":"mul"} (%dy, %negative) @relu
        %sum = reduce {"reduction":"sum","axes":[0,1],"keep":false} (%product) @relu
        %ds = reshape {"dims":[1]} (%sum) @relu
        output d x = %dx
        output d s = %ds"#;
    assert_graph(&gradients(&source.replace("SAVED", ""), &["x", "s"]), &(source.replace("SAVED", mask) + backward));
}

#[test]
fn a_classifier_ends_in_one_gradient_of_the_loss() {
    let source = r#"graph batch=4
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":10}}} ()
        %x = input {"name":"x","shape":[10],"meaning":"f32"} ()
        %b = state {"path":"fc.bias","shape":[10],"kind":"parameter","init":ZERO} ()
        %logits = arithmetic {"function":"sub"} (%x, %b) @fc
        %loss = softmax_cross_entropy {"label_smoothing":0.125} (%logits, %label) : f32[] @loss
        output loss = %loss"#;
    let backward = r#"
        %one = fill {"value":1.0,"shape":[]} ()
        %dlogits = softmax_cross_entropy_grad {"label_smoothing":0.125} (%logits, %label, %one) @loss
        %minus = unary {"function":"neg"} (%dlogits) @fc
        %rows = reduce {"reduction":"sum","axes":[0],"keep":false} (%minus) @fc
        %db = reshape {"dims":[10]} (%rows) @fc
        output d fc.bias = %db"#;
    assert_graph(&gradients(source, &["fc.bias"]), &(source.to_owned() + backward));
}

#[test]
fn gradients_end_at_stop_gradient() {
    let source = r#"graph batch=1
        %s = state {"path":"s","shape":[2],"kind":"parameter","init":ZERO} ()
        %still = stop_gradient {} (%s) @stop
        %loss = reduce {"reduction":"sum","axes":[0],"keep":false} (%still) @loss
        output loss = %loss"#;
    let result = differentiate(&graph(source), "loss", &["s"]).unwrap();
    assert_eq!(result.gradients, []);
}

#[test]
fn what_cannot_be_differentiated_is_named() {
    let source = graph(
        r#"graph batch=4
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":10}}} ()
        %logits = state {"path":"logits","shape":[4,10],"kind":"parameter","init":ZERO} ()
        %correct = count_correct {"k":1} (%logits, %label) @metrics.top1
        output correct = %correct
        output logits = %logits"#,
    );
    let error = |loss| differentiate(&source, loss, &["logits"]).err().unwrap();
    assert_eq!(
        error("correct"),
        GraphError::NotDifferentiable { op: "count_correct", path: "metrics.top1".to_owned() }
    );
    assert_eq!(error("logits").to_string(), "differentiate at '': expected a loss f32[], got f32[4,10]");
    assert_eq!(error("los").to_string(), "there is no output 'los'; there are: correct, logits");
}
