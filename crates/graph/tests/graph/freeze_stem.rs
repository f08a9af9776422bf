//! Freezing the first convolution, that of an image.

use crate::freeze::{LAMBDA, NORM, frozen, run_of};
use crate::text::assert_graph;
use binary_nets_graph::passes::Frozen;

/// A stem and its norm's constants; what reads it is added.
const STEM: &str = r#"graph batch=1
    %image = input {"name":"image","shape":[5,4,1],"meaning":{"int":{"min":0,"max":255}}} ()
    %x = normalize_image {"mean":[0.5],"std":[0.25]} (%image) @normalize
    %w = state {"path":"stem.weight","shape":[2,1,3,3],"kind":"parameter","init":"kaiming_normal"} ()
    %d = conv2d {"window":W3,"groups":1} (%x, %w) : f32[1,5,4,2] @stem
    %g = state {"path":"bn.weight","shape":[2],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[2],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[2],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[2],"kind":"statistic","init":ZERO} ()"#;

const STEM_FOLD: &str = r#"graph batch=1
    %w = state {"path":"stem.weight","shape":[2,1,3,3],"kind":"parameter","init":"kaiming_normal"} ()
    %g = state {"path":"bn.weight","shape":[2],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[2],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[2],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[2],"kind":"statistic","init":ZERO} ()"#;

/// Behind it, in both graphs: padding makes three cases along each axis, and 9·255·32767 = 75 200 265.
const STEM_RUN: &str = r#"graph batch=1
    %image = input {"name":"image","shape":[5,4,1],"meaning":{"int":{"min":0,"max":255}}} ()
    %q = state {"path":"stem.q","shape":[2,3,3,1],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-32767,"max":32767}}} ()
    %d = image_conv2d {"border":{"window":W3,"input":[5,4]}} (%image, %q) : int(-75200265..75200265)[1,5,4,2] @stem
    %a = state {"path":"NAME.a","shape":[2],"kind":"constant","init":ZERO} ()
    %c = state {"path":"NAME.c","shape":[3,3,2],"kind":"constant","init":ZERO} ()
    %y = affine {"border":{"window":W3,"input":[5,4]}} (%d, %a, %c) : f32[1,5,4,2] @PATH"#;

#[test]
fn a_stem_folds_the_image_and_its_norm() {
    let Frozen { fold, run } = frozen(&format!("{STEM}{NORM}\noutput y = %y"));
    let folded = r#"
        %q, %a, %c = fold_stem {"border":{"window":W3,"input":[5,4]},"mean":[0.5],"std":[0.25],"largest":32767,"steps":[{"norm":{"eps":0.5}}]} (%w, %g, %b, %m, %v) @bn
        output stem.q = %q
        output bn.a = %a
        output bn.c = %c"#;
    assert_graph(&fold, &format!("{STEM_FOLD}{folded}"));
    assert_graph(&run, &format!("{STEM_RUN}\noutput y = %y").replace("NAME", "bn").replace("PATH", "bn"));
}

#[test]
fn a_stem_without_a_norm_folds_the_image_alone() {
    let Frozen { fold, run } = frozen(&format!("{STEM}\noutput d = %d"));
    let folded = r#"
        %q, %a, %c = fold_stem {"border":{"window":W3,"input":[5,4]},"mean":[0.5],"std":[0.25],"largest":32767,"steps":[]} (%w) @stem
        output stem.q = %q
        output stem.scale.a = %a
        output stem.scale.c = %c"#;
    assert_graph(&fold, &format!("{STEM_FOLD}{folded}"));
    assert_graph(&run, &format!("{STEM_RUN}\noutput d = %y").replace("NAME", "stem.scale").replace("PATH", "stem"));
}

#[test]
fn a_stem_that_is_read_on_the_way_is_computed_once() {
    let source = format!("{STEM}{NORM}\noutput d = %d\noutput y = %y");
    let Frozen { fold, run } = frozen(&source);
    let folded = r#"
        %q, %a, %c = fold_stem {"border":{"window":W3,"input":[5,4]},"mean":[0.5],"std":[0.25],"largest":32767,"steps":[]} (%w) @stem
        %unused, %na, %nc = fold_stem {"border":{"window":W3,"input":[5,4]},"mean":[0.5],"std":[0.25],"largest":32767,"steps":[{"norm":{"eps":0.5}}]} (%w, %g, %b, %m, %v) @bn
        output stem.q = %q
        output stem.scale.a = %a
        output stem.scale.c = %c
        output bn.a = %na
        output bn.c = %nc"#;
    assert_graph(&fold, &format!("{STEM_FOLD}{folded}"));
    let normed = r#"
        %na = state {"path":"bn.a","shape":[2],"kind":"constant","init":ZERO} ()
        %nc = state {"path":"bn.c","shape":[3,3,2],"kind":"constant","init":ZERO} ()
        %ny = affine {"border":{"window":W3,"input":[5,4]}} (%d, %na, %nc) : f32[1,5,4,2] @bn
        output d = %y
        output y = %ny"#;
    let stem = STEM_RUN.replace("NAME", "stem.scale").replace("PATH", "stem");
    assert_graph(&run, &format!("{stem}{normed}"));
    // Each alone is the same.
    for (output, name, path) in [("d", "stem.scale", "stem"), ("y", "bn", "bn")] {
        let alone = format!("{STEM_RUN}\noutput {output} = %y").replace("NAME", name).replace("PATH", path);
        assert_graph(&run_of(&source, output), &alone);
    }
}

#[test]
fn another_reader_of_the_image_or_the_stem_does_not_change_the_stem() {
    let alone = run_of(&format!("{STEM}{NORM}\noutput y = %y"), "y").dump();
    let before_norm = format!("{STEM}\n%r = relu {{}} (%d) @relu{NORM}\noutput r = %r\noutput y = %y");
    assert_eq!(run_of(&before_norm, "y").dump(), alone);
    let (image, rest) = STEM.split_at(STEM.find("%w = ").unwrap());
    let before_stem = format!("{image}%r = relu {{}} (%x) @relu\n{rest}{NORM}\noutput r = %r\noutput y = %y");
    assert_eq!(run_of(&before_stem, "y").dump(), alone);
    assert!(
        run_of(&before_stem, "r")
            .dump()
            .contains("normalize_image {\"mean\":[0.5],\"std\":[0.25]} (%0) : f32[1,5,4,1] @normalize")
    );
}

#[test]
fn a_grouped_convolution_of_the_image_is_no_stem() {
    let source = r#"graph batch=1
        %image = input {"name":"image","shape":[2,2,2],"meaning":{"int":{"min":0,"max":255}}} ()
        %x = normalize_image {"mean":[0.5,0.5],"std":[0.25,0.25]} (%image) @normalize
        %w = state {"path":"w","shape":[2,1,1,1],"kind":"parameter","init":"kaiming_normal"} ()
        %y = conv2d {"window":W1,"groups":2} (%x, %w) @conv
        output y = %y"#;
    let run = source.replace(r#""kind":"parameter","init":"kaiming_normal""#, r#""kind":"constant","init":ZERO"#);
    assert_graph(&frozen(source).run, &run);
}

#[test]
fn a_stem_folds_what_comes_behind_its_norm() {
    let lambda = LAMBDA.replace("[3]", "[2]");
    let norm = NORM.replace("%y", "%n");
    let product = "\n%y = arithmetic {\"function\":\"mul\"} (%n, %l) @scaled\noutput y = %y";
    let Frozen { fold, run } = frozen(&format!("{STEM}{norm}{lambda}{product}"));
    let folded = r#"
        %q, %a, %c = fold_stem {"border":{"window":W3,"input":[5,4]},"mean":[0.5],"std":[0.25],"largest":32767,"steps":[{"norm":{"eps":0.5}},"scale"]} (%w, %g, %b, %m, %v, %l) @scaled
        output stem.q = %q
        output scaled.scale.a = %a
        output scaled.scale.c = %c"#;
    assert_graph(&fold, &format!("{STEM_FOLD}{lambda}{folded}"));
    assert_graph(&run, &format!("{STEM_RUN}\noutput y = %y").replace("NAME", "scaled.scale").replace("PATH", "scaled"));
}
