//! The table of a tiny residual network, counted by hand.

use crate::text::graph;
use binary_nets_graph::summary::{Macs, Row, summary};

fn row(path: &str, kind: &str, output: &[usize], parameters: [u64; 2], macs: [u64; 2]) -> Row {
    Row {
        path: path.to_owned(),
        kind: kind.to_owned(),
        output: output.into(),
        binary_parameters: parameters[0],
        packed_bits: parameters[0],
        float_parameters: parameters[1],
        macs: Macs { binary: macs[0], float: macs[1] },
    }
}

const NETWORK: &str = r#"graph batch=2
    %image = input {"name":"image","shape":[4,4,1],"meaning":{"int":{"min":0,"max":255}}} ()
    %x = normalize_image {"mean":[0.5],"std":[0.5]} (%image) @input
    %w1 = state {"path":"conv1.weight","shape":[2,1,3,3],"kind":"parameter","init":"kaiming_normal"} () @conv1
    %y1 = conv2d {"window":W3,"groups":1} (%x, %w1) @conv1
    %g1 = state {"path":"bn1.weight","shape":[2],"kind":"parameter","init":ZERO} () @bn1
    %b1 = state {"path":"bn1.bias","shape":[2],"kind":"parameter","init":ZERO} () @bn1
    %m1 = state {"path":"bn1.running_mean","shape":[2],"kind":"statistic","init":ZERO} () @bn1
    %v1 = state {"path":"bn1.running_var","shape":[2],"kind":"statistic","init":ZERO} () @bn1
    %n1, %mean1, %variance1 = batch_norm {"eps":1e-5,"momentum":0.1} (%y1, %g1, %b1, %m1, %v1) @bn1
    %codes = sign {"gradient":"approx","groups":2} (%n1) @layer1.0.conv
    %latent = state {"path":"layer1.0.conv.weight","shape":[4,1,3,3],"kind":"latent","init":"kaiming_normal"} () @layer1.0.conv
    %bits, %alpha = binarize_weight {"scale":"group","gradient":"clip","groups":2} (%latent) @layer1.0.conv
    %y2 = binary_conv2d {"window":{"kernel":[3,3],"stride":[2,2],"padding":[1,1],"dilation":[1,1]},"pad_value":1} (%codes, %bits, %alpha) @layer1.0.conv
    %p = avg_pool2d {"window":W2} (%n1) @layer1.0.downsample
    %w3 = state {"path":"layer1.0.downsample.weight","shape":[4,2,1,1],"kind":"parameter","init":"kaiming_normal"} () @layer1.0.downsample
    %y3 = conv2d {"window":W1,"groups":1} (%p, %w3) @layer1.0.downsample
    %sum = arithmetic {"function":"add"} (%y2, %y3) @layer1.0
    %pooled = reduce {"reduction":"mean","axes":[1,2],"keep":false} (%sum) @pool
    %fc = state {"path":"fc.weight","shape":[3,4],"kind":"parameter","init":"kaiming_normal"} () @fc
    %bias = state {"path":"fc.bias","shape":[3],"kind":"parameter","init":ZERO} () @fc
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
            row("layer1.0.conv", "binary_conv2d ×2", &[2, 2, 4], [36, 0], [144, 0]),
            // 4·2 weights at 2·2 pixels; the pool in front has no multiply-adds
            row("layer1.0.downsample", "conv2d", &[2, 2, 4], [0, 8], [0, 32]),
            row("layer1.0", "add", &[2, 2, 4], [0, 0], [0, 0]),
            row("pool", "mean", &[4], [0, 0], [0, 0]),
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
        serde_json::json!({ "path": "layer1.0.conv", "kind": "binary_conv2d ×2", "output": [2, 2, 4],
            "binaryParameters": 36, "packedBits": 36, "floatParameters": 0, "macs": { "binary": 144, "float": 0 } })
    );
}

#[test]
fn bases_gates_and_planes_are_shown() {
    let rows = summary(&graph(
        r#"graph batch=1
        %x = input {"name":"x","shape":[2,2,4],"meaning":"f32"} ()
        %gate = state {"path":"layer1.0.gate","shape":[1],"kind":"parameter","init":ZERO} () @layer1.0
        %open = unary {"function":"tanh"} (%gate) @layer1.0
        %mixed = arithmetic {"function":"mul"} (%x, %open) @layer1.0
        %codes = sign {"gradient":"approx","groups":1} (%mixed) @layer1.0.conv
        %w = state {"path":"layer1.0.conv.weight","shape":[2,4,1,1],"kind":"latent","init":"kaiming_normal"} () @layer1.0.conv
        %wp = state {"path":"layer1.0.conv.w_p","shape":[1],"kind":"parameter","init":ZERO} () @layer1.0.conv
        %wn = state {"path":"layer1.0.conv.w_n","shape":[1],"kind":"parameter","init":ZERO} () @layer1.0.conv
        %p, %n = ternarize_weight {"threshold":0.05,"negative_gradient":"exact"} (%w, %wp, %wn) @layer1.0.conv
        %y = ternary_conv2d {"window":W1,"pad_value":0} (%codes, %p, %n, %wp, %wn) @layer1.0.conv
        %scale = state {"path":"layer1.0.lambdas.0","shape":[1],"kind":"parameter","init":ZERO} () @layer1.0.lambdas
        %z = arithmetic {"function":"mul"} (%y, %scale) @layer1.0.lambdas
        %unused = state {"path":"layer1.0.C_s.0","shape":[1],"kind":"parameter","init":ZERO} () @layer1.0.C_s
        %sum = arithmetic {"function":"add"} (%z, %z) @layer1.0
        output sum = %sum"#,
    ));
    // Two planes: each of the 2·4 weights takes two bits, and each of 2·2 pixels both.
    let conv = Row { packed_bits: 16, ..row("layer1.0.conv", "ternary_conv2d", &[2, 2, 2], [8, 2], [64, 0]) };
    assert_eq!(
        rows,
        [
            conv,
            row("layer1.0.lambdas", "mul", &[2, 2, 2], [0, 1], [0, 0]),
            row("layer1.0.C_s", "", &[], [0, 1], [0, 0]),
            row("layer1.0", "add", &[2, 2, 2], [0, 1], [0, 0]),
        ]
    );
}
