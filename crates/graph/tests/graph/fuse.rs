//! Fusing, text in and text out, and what is reported of it.

use crate::text::{assert_graph, graph};
use binary_nets_graph::passes::{FusionRow, Writes, fuse, fusion_report};

/// Leaves of a frozen graph of 2×2 pixels of 2 channels, and codes that a convolution reads.
const LEAVES: &str = r#"graph batch=1
    %x = input {"name":"x","shape":[2,2,2],"meaning":"f32"} ()
    %m = input {"name":"m","shape":[2,2,2],"meaning":"f32"} ()
    %w = state {"path":"conv.bits","shape":[2,3,3,2],"kind":"constant","init":ZERO,"meaning":SIGN} ()
    %a = state {"path":"bn.a","shape":[2],"kind":"constant","init":ZERO} ()
    %c = state {"path":"bn.c","shape":[2],"kind":"constant","init":ZERO} ()
    %codes = sign {"gradient":"clip","groups":1} (%x) @conv
"#;

/// A convolution and its affine.
const CONV: &str = r#"
    %d = binary_conv2d {"window":W3,"pad_value":0} (%codes, %w) @conv
    %y = affine {} (%d, %a, %c) @bn
"#;

/// The node that begins with them: four inputs, of which the body's first value is the fifth.
const BODY: &str = r#"{"op":{"binary_conv2d":{"window":W3,"pad_value":0}},"inputs":[0,1]}"#;

/// The body's nodes behind the convolution, with `$n` for the value that is `n` behind the inputs.
fn body(inputs: usize, nodes: &str) -> String {
    let text = format!("{BODY},{nodes}");
    (0..10).fold(text, |text, i| text.replace(&format!("${i}"), &(inputs + i).to_string()))
}

#[track_caller]
fn assert_fused(source: &str, expected: &str) {
    assert_graph(&fuse(&graph(&format!("{LEAVES}{source}"))).unwrap(), &format!("{LEAVES}{expected}"));
}

#[test]
fn an_epilogue_goes_into_its_convolution() {
    let nodes = body(
        5,
        r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"relu":{}},"inputs":[$1]},
           {"op":{"arithmetic":{"function":"add"}},"inputs":[4,$2]},{"op":{"step":{"gradient":"approx","groups":1}},"inputs":[$3]}"#,
    )
    .replace('\n', "");
    let source = format!(
        r#"{CONV}
    %r = relu {{}} (%y)
    %s = arithmetic {{"function":"add"}} (%m, %r)
    %t = step {{"gradient":"approx","groups":1}} (%s)
    output t = %t"#
    );
    let fused = |outputs: &str, values: &str| {
        format!(r#"    {values} = fused {{"body":[{nodes}],"outputs":[{outputs}]}} (%codes, %w, %a, %c, %m) @conv"#)
    };
    assert_fused(&source, &format!("{}\n    output t = %t", fused("9", "%t")));
    // The sum leaves too where somebody else reads it.
    assert_fused(
        &format!("{source}\n    output s = %s"),
        &format!("{}\n    output t = %t\n    output s = %s", fused("8,9", "%s, %t")),
    );
}

#[test]
fn a_bias_that_only_codes_see_goes_with_them_and_equal_codes_are_made_once() {
    let bias = r#"    %b = state {"path":"rsign.bias","shape":[2],"kind":"constant","init":ZERO} ()"#;
    let source = format!(
        r#"{CONV}
    %p = max_pool2d {{"window":W2}} (%y)
{bias}
    %z = arithmetic {{"function":"add"}} (%y, %b)
    %s = sign {{"gradient":"clip","groups":1}} (%z)
    %again = sign {{"gradient":"approx","groups":1}} (%z)
    output p = %p
    output s = %s
    output again = %again"#
    );
    let nodes = body(
        5,
        r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"arithmetic":{"function":"add"}},"inputs":[$1,4]},{"op":{"sign":{"gradient":"clip","groups":1}},"inputs":[$2]}"#,
    );
    // The leaf comes first, for the one node stands where the affine stood: the pool reads it.
    let expected = format!(
        r#"    %y, %s = fused {{"body":[{nodes}],"outputs":[6,8]}} (%codes, %w, %a, %c, %b) @conv
    %p = max_pool2d {{"window":W2}} (%y)
    output p = %p
    output s = %s
    output again = %s"#
    );
    let leaves = LEAVES.replace("    %codes", &format!("{bias}\n    %codes"));
    let fused = fuse(&graph(&format!("{LEAVES}{source}"))).unwrap();
    assert_graph(&fused, &format!("{leaves}{expected}"));
    let rows: Vec<_> = fusion_report(&fused).into_iter().map(|row| (row.op, row.fused, row.writes)).collect();
    assert_eq!(
        rows,
        [("sign", vec![], Writes::Codes), ("binary_conv2d", vec!["affine", "add", "sign"], Writes::MapAndCodes)]
    );
}

/// Where two maps meet, the binary convolution computes the sum, and takes the other's steps with it.
#[test]
fn a_shortcut_goes_into_the_convolution_that_it_is_added_to() {
    let source = format!(
        r#"    %f = max_pool2d {{"window":{{"kernel":[3,3],"stride":[1,1],"padding":[1,1],"dilation":[1,1]}}}} (%m)
    %g = affine {{}} (%f, %c, %a) @shortcut
    {}
    %s = arithmetic {{"function":"sub"}} (%g, %y)
    output s = %s"#,
        CONV.trim()
    );
    let nodes = body(
        5,
        r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"affine":{}},"inputs":[4,3,2]},{"op":{"arithmetic":{"function":"sub"}},"inputs":[$2,$1]}"#,
    );
    let expected = format!(
        r#"    %f = max_pool2d {{"window":{{"kernel":[3,3],"stride":[1,1],"padding":[1,1],"dilation":[1,1]}}}} (%m)
    %s = fused {{"body":[{nodes}],"outputs":[8]}} (%codes, %w, %a, %c, %f) @conv
    output s = %s"#
    );
    assert_fused(&source, &expected);
}

/// Integers that others read too: the run starts behind them wherever the sum has its operand.
#[test]
fn a_shortcut_goes_into_an_affine_of_integers() {
    let source = format!(
        r#"{CONV}
    %z = affine {{}} (%d, %c, %a) @other
    %r = relu {{}} (%m)
    %s = arithmetic {{"function":"add"}} (%r, %y)
    output s = %s
    output z = %z"#
    );
    let expected = r#"
    %d = binary_conv2d {"window":W3,"pad_value":0} (%codes, %w) @conv
    %z = affine {} (%d, %c, %a) @other
    %s = fused {"body":[{"op":{"affine":{}},"inputs":[0,1,2]},{"op":{"relu":{}},"inputs":[3]},{"op":{"arithmetic":{"function":"add"}},"inputs":[5,4]}],"outputs":[6]} (%d, %a, %c, %m) @bn
    output s = %s
    output z = %z"#;
    assert_fused(&source, expected);
}

/// Two convolutions with one sum: the first has it, the other's own epilogue stays its own.
#[test]
fn an_epilogue_is_not_taken_from_another_convolution() {
    let source = format!(
        r#"{CONV}
    %e = binary_conv2d {{"window":W3,"pad_value":1}} (%codes, %w) @other
    %z = affine {{}} (%e, %c, %a) @other
    %s = arithmetic {{"function":"add"}} (%y, %z)
    output s = %s"#
    );
    let own = body(4, r#"{"op":{"affine":{}},"inputs":[$0,2,3]}"#).replace("\"pad_value\":0", "\"pad_value\":1");
    let nodes =
        body(5, r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"arithmetic":{"function":"add"}},"inputs":[$1,4]}"#);
    let expected = format!(
        r#"    %z = fused {{"body":[{own}],"outputs":[5]}} (%codes, %w, %c, %a) @other
    %s = fused {{"body":[{nodes}],"outputs":[7]}} (%codes, %w, %a, %c, %z) @conv
    output s = %s"#
    );
    assert_fused(&source, &expected);
}

/// Bi-Real's block: the codes of a sum are read by the next convolution, and the sum itself by the next sum, which cannot go into the first one.
#[test]
fn a_sum_that_comes_later_waits_for_its_convolution() {
    let source = format!(
        r#"{CONV}
    %h = arithmetic {{"function":"add"}} (%y, %m)
    %hs = sign {{"gradient":"clip","groups":1}} (%h)
    %e = binary_conv2d {{"window":W3,"pad_value":0}} (%hs, %w) @next
    %z = affine {{}} (%e, %a, %c) @next
    %s = arithmetic {{"function":"add"}} (%z, %h)
    output s = %s"#
    );
    let first = body(
        5,
        r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"arithmetic":{"function":"add"}},"inputs":[$1,4]},{"op":{"sign":{"gradient":"clip","groups":1}},"inputs":[$2]}"#,
    );
    let second =
        body(5, r#"{"op":{"affine":{}},"inputs":[$0,2,3]},{"op":{"arithmetic":{"function":"add"}},"inputs":[$1,4]}"#);
    let expected = format!(
        r#"    %h, %hs = fused {{"body":[{first}],"outputs":[7,8]}} (%codes, %w, %a, %c, %m) @conv
    %s = fused {{"body":[{second}],"outputs":[7]}} (%hs, %w, %a, %c, %h) @next
    output s = %s"#
    );
    assert_fused(&source, &expected);
}

#[test]
fn what_several_read_or_an_output_names_ends_a_run() {
    // Nothing fits behind the affine: it is read twice.
    let twice = format!(
        "{CONV}\n    %r = relu {{}} (%y)\n    %s = arithmetic {{\"function\":\"add\"}} (%r, %y)\n    output s = %s"
    );
    let alone = body(4, r#"{"op":{"affine":{}},"inputs":[$0,2,3]}"#);
    let expected = format!(
        r#"    %y = fused {{"body":[{alone}],"outputs":[5]}} (%codes, %w, %a, %c) @conv
    %s = fused {{"body":[{{"op":{{"relu":{{}}}},"inputs":[0]}},{{"op":{{"arithmetic":{{"function":"add"}}}},"inputs":[1,0]}}],"outputs":[2]}} (%y)
    output s = %s"#
    );
    assert_fused(&twice, &expected);

    let named = format!("{CONV}\n    %r = relu {{}} (%y) @after\n    output y = %y\n    output r = %r");
    let expected = format!(
        r#"    %y = fused {{"body":[{alone}],"outputs":[5]}} (%codes, %w, %a, %c) @conv
    %r = relu {{}} (%y) @after
    output y = %y
    output r = %r"#
    );
    assert_fused(&named, &expected);
    let rows = fusion_report(&fuse(&graph(&format!("{LEAVES}{named}"))).unwrap());
    let relu = FusionRow {
        path: "after".to_owned(),
        op: "relu",
        weights: None,
        fused: vec![],
        writes: Writes::Map,
        apart: Some("what it reads is the output 'y'; the output 'r'".to_owned()),
    };
    assert_eq!(rows[2], relu);

    // Two affines of the same integers.
    let both = format!("{CONV}\n    %z = affine {{}} (%d, %c, %a)\n    output y = %y\n    output z = %z");
    assert_fused(&both, &both);
    let rows = fusion_report(&fuse(&graph(&format!("{LEAVES}{both}"))).unwrap());
    assert_eq!((rows[1].writes, rows[1].apart.as_deref()), (Writes::Integers, Some("its integers: read by 2 layers")));
}

/// Codes alone behind monotone constants, which are the same for all pixels, are comparisons of integers; behind a map, or behind a slope that may turn, they are not.
#[test]
fn a_report_tells_thresholds() {
    let cases = [
        (r"%r = relu {} (%y)", "step", Writes::CodesByThreshold),
        (r"%r = prelu {} (%y, %a)", "sign", Writes::CodesByThreshold),
        (r"%r = prelu {} (%y, %a)", "step", Writes::Codes),
        (r#"%r = arithmetic {"function":"mul"} (%c, %y)"#, "sign", Writes::CodesByThreshold),
        (r#"%r = arithmetic {"function":"div"} (%c, %y)"#, "sign", Writes::Codes),
        (r#"%r = arithmetic {"function":"add"} (%y, %m)"#, "sign", Writes::Codes),
        (r#"%r = arithmetic {"function":"add"} (%y, %number)"#, "sign", Writes::CodesByThreshold),
        (r#"%r = arithmetic {"function":"add"} (%y, %map)"#, "sign", Writes::Codes),
        (r#"%r = arithmetic {"function":"add"} (%y, %long)"#, "sign", Writes::Codes),
        (r#"%r = clamp {"min":-1.0,"max":1.0} (%y)"#, "sign", Writes::CodesByThreshold),
    ];
    let leaves = [("number", "[]"), ("map", "[2,2,2]"), ("long", "[1,2,2,2]")].map(|(name, shape)| {
        format!(r#"    %{name} = state {{"path":"{name}","shape":{shape},"kind":"constant","init":ZERO}} ()"#)
    });
    let leaves = leaves.join("\n");
    for (step, codes, writes) in cases {
        let source = format!(
            "{LEAVES}{leaves}{CONV}\n    {step}\n    %t = {codes} {{\"gradient\":\"clip\",\"groups\":1}} (%r)\n    output t = %t"
        );
        let row = &fusion_report(&fuse(&graph(&source)).unwrap())[1];
        assert_eq!((row.writes, row.fused.len()), (writes, 3), "{step} {codes}");
    }
}

/// The image's convolution takes in the max pool behind it: not one behind a sum, and none of another convolution.
#[test]
fn a_max_pool_goes_into_the_convolution_of_the_image() {
    const IMAGE: &str = r#"graph batch=1
    %image = input {"name":"image","shape":[8,8,3],"meaning":{"int":{"min":0,"max":255}}} ()
    %q = state {"path":"stem.q","shape":[2,3,3,3],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-32767,"max":32767}}} ()
    %a = state {"path":"bn.a","shape":[2],"kind":"constant","init":ZERO} ()
    %c = state {"path":"bn.c","shape":[3,3,2],"kind":"constant","init":ZERO} ()
    %m = input {"name":"m","shape":[4,4,2],"meaning":"f32"} ()
"#;
    const BORDER: &str = r#"{"window":W3,"input":[8,8]}"#;
    let source = |between: &str, pooled: &str| {
        format!(
            r#"{IMAGE}    %d = image_conv2d {{"border":{BORDER}}} (%image, %q) @stem
    %y = affine {{"border":{BORDER}}} (%d, %a, %c) @bn
{between}    %p = max_pool2d {{"window":W2}} (%{pooled}) @pool
    %s = arithmetic {{"function":"add"}} (%p, %m) @sum
    %t = sign {{"gradient":"clip","groups":1}} (%s) @sign
    output s = %s
    output t = %t"#
        )
    };
    let rows = |text: &str| -> Vec<Vec<&'static str>> {
        fusion_report(&fuse(&graph(text)).unwrap()).into_iter().map(|row| [vec![row.op], row.fused].concat()).collect()
    };
    assert_eq!(rows(&source("", "y")), [["image_conv2d", "affine", "max_pool2d", "add", "sign"]]);
    let rectified = rows(&source("    %r = relu {} (%y) @relu\n", "r"));
    assert_eq!(rectified, [["image_conv2d", "affine", "relu", "max_pool2d", "add", "sign"]]);
    let clamped = rows(&source("    %r = clamp {\"min\":0.0,\"max\":1.0} (%y) @clamp\n", "r"));
    assert_eq!(clamped, [vec!["image_conv2d", "affine", "clamp"], vec!["add", "sign"]]);
}
