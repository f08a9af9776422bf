//! Models that mix the images of a batch are refused, by op and path.

use binary_nets_graph::GraphError;
use binary_nets_graph::passes::per_image;

use crate::every_op::EVERY_OP;
use crate::text::graph;

/// Values that depend on the images, and some that do not. Batches of 5, an extent that nothing else has.
const VALUES: &str = r#"graph batch=5
    %x = input {"name":"x","shape":[4,4,2],"meaning":"f32"} ()
    %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
    %w = state {"path":"w","shape":[3,2,3,3],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"m","shape":[3,3],"kind":"parameter","init":ZERO} ()
    %v = state {"path":"v","shape":[3],"kind":"parameter","init":ZERO} ()
    %y = conv2d {"window":W3,"groups":1} (%x, %w) @conv
    %f = reduce {"reduction":"mean","axes":[1,2],"keep":false} (%y) @pool
    %square = slice {"axis":0,"start":0,"end":3} (%m)
    "#;

fn check(lines: &str, output: &str) -> Result<(), GraphError> {
    per_image(&graph(&format!("{VALUES}{lines}\n    output y = {output}")))
}

#[test]
fn what_keeps_samples_apart_passes() {
    for line in [
        r#"%z = reduce {"reduction":"max","axes":[1],"keep":false} (%f)"#,
        r#"%z = arithmetic {"function":"add"} (%f, %v)"#,
        r#"%z = arithmetic {"function":"sub"} (%v, %f)"#,
        r#"%z = reshape {"dims":[0,-1]} (%y)"#,
        r#"%z = reshape {"dims":[-1,48]} (%y)"#,
        r#"%z = transpose {"permutation":[0,3,1,2]} (%y)"#,
        r#"%z = matmul {"transpose_a":false,"transpose_b":true} (%f, %m)"#,
        r#"%z = concat {"axis":1} (%f, %f)"#,
        r#"%z = slice {"axis":1,"start":0,"end":2} (%f)"#,
        r#"%z = gather {"axis":1} (%f, %label)"#,
        r"%z = prelu {} (%y, %v)",
        r"%z = one_hot {} (%label)",
        r#"%c = constant {"values":[1.0,2.0,3.0],"shape":[3]} ()
    %z = arithmetic {"function":"mul"} (%f, %c)"#,
        r#"%z, %mean, %variance = batch_norm {"eps":1e-5,"momentum":0.1} (%f, %v, %v, %v, %v)"#,
        // What states alone make may be turned about as it likes.
        r#"%t = transpose {"permutation":[1,0]} (%square)
    %z = matmul {"transpose_a":false,"transpose_b":false} (%f, %t)"#,
    ] {
        assert_eq!(check(line, "%z"), Ok(()), "{line}");
    }
}

#[test]
fn what_mixes_or_moves_samples_is_refused_by_op_and_path() {
    for (line, culprit, what) in [
        (r#"%z = reduce {"reduction":"mean","axes":[0],"keep":true} (%f) @mix"#, "reduce", "axis 0"),
        (r#"%z = reduce {"reduction":"sum","axes":[0,1],"keep":false} (%f) @mix"#, "reduce", "axis 0"),
        (r#"%z = slice {"axis":0,"start":1,"end":2} (%f) @mix"#, "slice", "axis 0"),
        (r#"%z = pad_axis {"axis":0,"before":1,"after":0} (%f) @mix"#, "pad_axis", "axis 0"),
        (r#"%z = concat {"axis":0} (%m, %f) @mix"#, "concat", "axis 0"),
        (r#"%z = repeat {"axis":0,"times":2} (%f) @mix"#, "repeat", "axis 0"),
        (r#"%z = scatter {"axis":0,"extent":3} (%label, %g) @mix"#, "scatter", "axis 0"),
        (r#"%z = transpose {"permutation":[1,0]} (%f) @mix"#, "transpose", "moves axis 0"),
        (r#"%z = reshape {"dims":[1,-1]} (%f) @mix"#, "reshape", "[1,15]"),
        (r#"%z = reshape {"dims":[-1]} (%f) @mix"#, "reshape", "[15]"),
        (r#"%z = matmul {"transpose_a":false,"transpose_b":true} (%f, %f) @mix"#, "matmul", "right operand"),
        (r#"%z = matmul {"transpose_a":true,"transpose_b":false} (%f, %five) @mix"#, "matmul", "left operand"),
        (r#"%z = arithmetic {"function":"mul"} (%g, %five) @mix"#, "arithmetic", "f32[5] stretched to rank 2"),
        (r#"%z = compare {"comparison":"less"} (%five, %g) @mix"#, "compare", "f32[5] stretched to rank 2"),
        (r#"%z = broadcast_to {"shape":[5,5]} (%g) @mix"#, "broadcast_to", "f32[5] stretched to rank 2"),
        (r#"%z = conv2d {"window":W1,"groups":1} (%x, %k) @mix"#, "conv2d", "weights"),
        (r"%z = prelu {} (%h, %g) @mix", "prelu", "weights"),
        (
            r#"%z, %mean, %variance = batch_norm {"eps":1e-5,"momentum":0.1} (%h, %g, %g, %g, %g) @mix"#,
            "batch_norm",
            "weights",
        ),
        (
            r#"%z = softmax_cross_entropy {"label_smoothing":0.0} (%f, %label) @mix"#,
            "softmax_cross_entropy",
            "all images",
        ),
        (r#"%z = count_correct {"k":1} (%f, %label) @mix"#, "count_correct", "all images"),
    ] {
        let more = r#"%g = reduce {"reduction":"sum","axes":[1],"keep":false} (%f)
    %h = broadcast_to {"shape":[5,5]} (%column)
    %k = reshape {"dims":[5,2,1,1]} (%pairs)
    "#;
        let before = r#"%five = state {"path":"five","shape":[5,5],"kind":"parameter","init":ZERO} ()
    %column = reduce {"reduction":"sum","axes":[1],"keep":true} (%f)
    %pairs = slice {"axis":1,"start":0,"end":2} (%f)
    "#;
        let Err(GraphError::Shape { op, path, expected, got }) = check(&format!("{before}{more}{line}"), "%f") else {
            panic!("{line} passes")
        };
        assert_eq!((op, path.as_str()), (culprit, "mix"), "{line}");
        assert!(expected.contains("sees one image at a time"), "{expected}");
        assert!(got.contains(what), "{line}: {got}");
    }
}

#[test]
fn outputs_are_one_thing_for_each_image() {
    let refused = |output: &str| match check("%z = relu {} (%v) @constant", output) {
        Err(GraphError::Shape { op: "output", path, expected, .. }) => (path, expected),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("%z"), ("constant".to_owned(), "[5,…] as 'y' of 5 images".to_owned()));
    assert_eq!(check("", "%f"), Ok(()));
}

#[test]
fn a_graph_of_every_op_is_refused_for_its_first_gradient() {
    let error = per_image(&graph(EVERY_OP)).unwrap_err();
    assert!(error.to_string().starts_with("conv2d_grad_weight at 'conv'"), "{error}");
}
