//! The table of a tiny residual network, counted by hand.

use crate::text::graph;
use binary_nets_graph::summary::{Macs, Row, summary};

fn row(path: &str, kind: &str, output: &[usize], parameters: [u64; 2], macs: [u64; 2]) -> Row {
    Row {
        path: path.to_owned(),
        kind: kind.to_owned(),
        output: output.into(),
        binary_parameters: parameters[0],
        float_parameters: parameters[1],
        macs: Macs { binary: macs[0], float: macs[1] },
    }
}

const NETWORK: &str = r#"graph batch=2
    %image = input {"name":"image","shape":[4,4,1],"meaning":{"int":{"min":0,"max":255}}} ()
    %x = normalize_image {"mean":[0.5],"std":[0.5]} (%image) @input
    %w1 = state {"path":"conv1.weight","shape":[2,1,3,3],"kind":"parameter","init":"kaiming_normal"} ()
    %y1 = conv2d {"window":W3,"groups":1} (%x, %w1) @conv1
    %g1 = state {"path":"bn1.weight","shape":[2],"kind":"parameter","init":ZERO} ()
    %b1 = state {"path":"bn1.bias","shape":[2],"kind":"parameter","init":ZERO} ()
    %m1 = state {"path":"bn1.running_mean","shape":[2],"kind":"statistic","init":ZERO} ()
    %v1 = state {"path":"bn1.running_var","shape":[2],"kind":"statistic","init":ZERO} ()
    %n1, %mean1, %variance1 = batch_norm {"eps":1e-5,"momentum":0.1} (%y1, %g1, %b1, %m1, %v1) @bn1
    %codes = sign {"gradient":"approx","groups":2} (%n1) @layer1.0.conv
    %latent = state {"path":"layer1.0.conv.weight","shape":[4,1,3,3],"kind":"latent","init":"kaiming_normal"} ()
    %bits, %alpha = binarize_weight {"scale":"group","gradient":"clip","groups":2} (%latent) @layer1.0.conv
    %y2 = binary_conv2d {"window":{"kernel":[3,3],"stride":[2,2],"padding":[1,1],"dilation":[1,1]},"pad_value":1} (%codes, %bits, %alpha) @layer1.0.conv
    %p = avg_pool2d {"window":W2} (%n1) @layer1.0.downsample
    %w3 = state {"path":"layer1.0.downsample.weight","shape":[4,2,1,1],"kind":"parameter","init":"kaiming_normal"} ()
    %y3 = conv2d {"window":W1,"groups":1} (%p, %w3) @layer1.0.downsample
    %sum = arithmetic {"function":"add"} (%y2, %y3) @layer1.0
    %pooled = reduce {"reduction":"mean","axes":[1,2],"keep":false} (%sum) @pool
    %fc = state {"path":"fc.weight","shape":[3,4],"kind":"parameter","init":"kaiming_normal"} ()
    %bias = state {"path":"fc.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %z = matmul {"transpose_a":false,"transpose_b":true} (%pooled, %fc) @fc
    %logits = arithmetic {"function":"add"} (%z, %bias) @fc
    output logits = %logits"#;

#[test]
fn a_tiny_residual_network_is_counted_by_hand() {
    assert_eq!(
        summary(&graph(NETWORK)),
        [
            row("input", "normalize_image", &[4, 4, 1], [0, 0], [0, 0]),
            // 2·1·3·3 weights, each used at 4·4 pixels
            row("conv1", "conv2d", &[4, 4, 2], [0, 18], [0, 288]),
            // γ and β; running statistics are no parameters
            row("bn1", "batch_norm", &[4, 4, 2], [0, 4], [0, 0]),
            // two groups: 4·1·3·3 weights, each used at 2·2 pixels
            row("layer1.0.conv", "binary_conv2d", &[2, 2, 4], [36, 0], [144, 0]),
            // 4·2 weights at 2·2 pixels; the pool in front has no multiply-adds
            row("layer1.0.downsample", "conv2d", &[2, 2, 4], [0, 8], [0, 32]),
            row("layer1.0", "arithmetic", &[2, 2, 4], [0, 0], [0, 0]),
            row("pool", "reduce", &[4], [0, 0], [0, 0]),
            // 3·4 weights and 3 biases
            row("fc", "matmul", &[3], [0, 15], [0, 12]),
        ]
    );
}

#[test]
fn the_batch_does_not_count() {
    let one = NETWORK.replace("batch=2", "batch=1");
    assert_eq!(summary(&graph(NETWORK)), summary(&graph(&one)));
}

#[test]
fn rows_are_json_for_the_host() {
    let rows = serde_json::to_value(summary(&graph(NETWORK))).unwrap();
    assert_eq!(
        rows[3],
        serde_json::json!({ "path": "layer1.0.conv", "kind": "binary_conv2d", "output": [2, 2, 4],
            "binaryParameters": 36, "floatParameters": 0, "macs": { "binary": 144, "float": 0 } })
    );
}
