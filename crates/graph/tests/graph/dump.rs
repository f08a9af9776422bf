//! The text of a graph: what it looks like, that it reads back, and what is said about text that does not.

use std::collections::BTreeSet;

use crate::every_op::{EVERY_OP, op_names};
use crate::text::{graph, spell};
use binary_nets_graph::ops::{BatchNormInference, Fill, NormalizeImage};
use binary_nets_graph::{Graph, GraphError, Meaning, ops::Input};
use proptest::prelude::*;

#[test]
fn a_dump_reads_like_this() {
    let source = graph(
        r#"graph batch=64
        %image = input {"name":"image","shape":[28,28,1],"meaning":{"int":{"min":0,"max":255}}} ()
        %w = state {"path":"a.weight","shape":[4,1,3,3],"kind":"latent","init":"kaiming_normal"} ()
        %bits, %alpha = binarize_weight {"scale":"tensor","gradient":"identity","groups":1} (%w) @a
        %t = state {"path":"t","shape":[],"kind":"moment","init":ZERO} ()
        increment {} (%t)
        output scale = %alpha"#,
    );
    assert_eq!(
        source.dump(),
        r#"graph batch=64
%0 = input {"meaning":{"int":{"max":255,"min":0}},"name":"image","shape":[28,28,1]} () : int(0..255)[64,28,28,1]
%1 = state {"init":"kaiming_normal","kind":"latent","path":"a.weight","shape":[4,1,3,3]} () : f32[4,1,3,3]
%2, %3 = binarize_weight {"gradient":"identity","groups":1,"scale":"tensor"} (%1) : bit(sign)[4,3,3,1], f32[1] @a
%4 = state {"init":{"constant":0.0},"kind":"moment","path":"t","shape":[]} () : f32[]
increment {} (%4)
output scale = %3
"#
    );
}

#[test]
fn every_op_reads_back() {
    let parsed = graph(EVERY_OP);
    let used: BTreeSet<String> = parsed.nodes().iter().map(|n| n.op.name().to_owned()).collect();
    assert_eq!(used, op_names().into_iter().collect());
    assert_eq!(Graph::parse(&parsed.dump()).unwrap(), parsed);
    assert_eq!(Graph::parse(&parsed.dump()).unwrap().dump(), parsed.dump());
}

proptest! {
    #[test]
    fn every_number_reads_back(
        mean in prop::num::f64::NORMAL, std in prop::num::f64::POSITIVE, eps in 0.0..1.0f64, value in prop::num::f32::ANY
    ) {
        prop_assume!(value.is_finite() && mean.is_finite() && std.is_finite() && std > 0.0);
        let mut graph = Graph::new(1);
        let image = Input { name: "\"%{@} = ".to_owned(), shape: [1, 1, 1].into(), meaning: Meaning::Int { min: 0, max: 255 } };
        let image = graph.add_one(image, &[], "").unwrap();
        let x = graph.add_one(NormalizeImage { mean: vec![mean], std: vec![std] }, &[image], "n").unwrap();
        let fill = graph.add_one(Fill { value, shape: [1].into() }, &[], "").unwrap();
        graph.add_one(BatchNormInference { eps }, &[x, fill, fill, fill, fill], "bn").unwrap();
        prop_assert_eq!(Graph::parse(&graph.dump()).unwrap(), graph);
    }

    #[test]
    fn any_text_is_an_error_and_no_panic(text in "(graph batch=[0-9]\n)?([%@{}()\\[\\]\":,=.a-z0-9 \n]|relu|%x|input|output ){0,40}") {
        let _ = Graph::parse(&text);
    }
}

#[test]
fn errors_name_the_line() {
    let cases = [
        ("", 1, "expected `graph batch=N`"),
        ("\n\n  graph batch=two", 3, "expected `graph batch=N`"),
        ("graph batch=0", 1, "expected `graph batch=N`"),
        ("GRAPH\n%y = relu {} (%z)", 3, "%z is not defined"),
        ("GRAPH\n\n\n%y = relu {} (%x, %x) @r", 5, "relu at 'r': expected 1 inputs, got 2"),
        ("GRAPH\n%y = rely {} (%x)", 3, "unknown variant `rely`"),
        ("GRAPH\n%y = relu {\"p\":1} (%x)", 3, "unknown field `p`"),
        ("GRAPH\n%y = clamp {\"min\":0.0} (%x)", 3, "missing field `max`"),
        ("GRAPH\n%y = clamp {\"min\":0.0 (%x)", 3, "expected attributes in braces"),
        ("GRAPH\n%y = relu", 3, "expected an op"),
        ("GRAPH\n%y = relu {} %x", 3, "expected inputs in parentheses"),
        ("GRAPH\n%y relu {} (%x)", 3, "expected ` = `"),
        ("GRAPH\n%y = relu {} (%x) : f32[2,4]", 3, "relu yields f32[2,3], not f32[2,4]"),
        ("GRAPH\n%y, %z = relu {} (%x)", 3, "relu has 1 outputs, not 2"),
        ("GRAPH\nrelu {} (%x)", 3, "relu has 1 outputs, not 0"),
        ("GRAPH\noutput y", 3, "expected `output NAME = %VALUE`"),
        ("GRAPH\noutput y = %y", 3, "%y is not defined"),
    ];
    for (text, expected, message) in cases {
        let head = "graph batch=2\n%x = input {\"name\":\"x\",\"shape\":[3],\"meaning\":\"f32\"} ()";
        match Graph::parse(&spell(&text.replace("GRAPH", head))) {
            Err(GraphError::Parse { line, message: got }) => {
                assert!(line == expected && got.contains(message), "{text}: line {line}: {got}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}
