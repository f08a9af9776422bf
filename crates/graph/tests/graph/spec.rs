//! The JSON that a host records: what it becomes, and what is said about one that is wrong.

use std::collections::BTreeMap;

use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, GraphError};

use crate::text::assert_graph;

const MODEL: &str = r#"{ "version": 1,
    "nodes": [
        { "op": { "input": { "name": "x", "shape": [3], "meaning": "f32" } } },
        { "op": { "state": { "path": "fc.weight", "shape": [2, 3], "kind": "parameter", "init": "kaiming_normal" } } },
        { "op": { "matmul": { "transpose_a": false, "transpose_b": true } }, "inputs": [[0, 0], [1, 0]], "path": "fc" },
        { "op": { "dropout": { "p": 0.5, "stream": 1 } }, "inputs": [[2, 0]], "path": "drop" },
        { "op": { "relu": {} }, "inputs": [[3, 0]], "path": "relu" } ],
    "outputs": { "logits": [4, 0] },
    "layers": { "fc": [2, 0], "drop": [3, 0] } }"#;

/// Its own label, the model's logits, and an L2 term of a weight that the model has too.
const OBJECTIVE: &str = r#"{ "version": 1,
    "nodes": [
        { "op": { "input": { "name": "logits", "shape": [2], "meaning": "f32" } } },
        { "op": { "input": { "name": "label", "shape": [], "meaning": { "index": { "classes": 2 } } } } },
        { "op": { "softmax_cross_entropy": { "label_smoothing": 0.0 } }, "inputs": [[0, 0], [1, 0]], "path": "loss" },
        { "op": { "state": { "path": "fc.weight", "shape": [2, 3], "kind": "parameter", "init": "kaiming_normal" } } },
        { "op": { "reduce": { "reduction": "sum", "axes": [0, 1], "keep": false } }, "inputs": [[3, 0]], "path": "decay" },
        { "op": { "input": { "name": "x", "shape": [3], "meaning": "f32" } } },
        { "op": { "reduce": { "reduction": "mean", "axes": [0, 1], "keep": false } }, "inputs": [[5, 0]], "path": "mean" },
        { "op": { "arithmetic": { "function": "add" } }, "inputs": [[2, 0], [4, 0]], "path": "sum" } ],
    "outputs": { "loss": [7, 0], "mean": [6, 0] } }"#;

const MODEL_TEXT: &str = r#"graph batch=4
    %x = input {"name":"x","shape":[3],"meaning":"f32"} ()
    %w = state {"path":"fc.weight","shape":[2,3],"kind":"parameter","init":"kaiming_normal"} ()
    %fc = matmul {"transpose_a":false,"transpose_b":true} (%x, %w) : f32[4,2] @fc
    %kept, %mask = dropout {"p":0.5,"stream":1} (%fc) @drop
    %y = relu {} (%kept) @relu"#;

#[test]
fn a_spec_becomes_a_graph_of_a_batch() {
    let spec = GraphSpec::parse(MODEL).unwrap();
    assert_graph(&spec.graph(4, &[]).unwrap(), &format!("{MODEL_TEXT}\noutput logits = %y"));
    let layers = spec.graph(4, &["drop", "fc"]).unwrap();
    assert_graph(&layers, &format!("{MODEL_TEXT}\noutput logits = %y\noutput drop = %kept\noutput fc = %fc"));
}

#[test]
fn a_spec_is_written_as_it_is_read() {
    let spec = GraphSpec::parse(MODEL).unwrap();
    assert_eq!(GraphSpec::parse(&spec.to_json().unwrap()).unwrap(), spec);
    let (written, read): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&spec.to_json().unwrap()).unwrap(), serde_json::from_str(MODEL).unwrap());
    assert_eq!(written, read);
}

#[test]
fn a_graph_becomes_a_spec_again() {
    let spec = GraphSpec::parse(MODEL).unwrap();
    let graph = spec.graph(1, &["drop"]).unwrap();
    let again = GraphSpec::of(&graph);
    assert_eq!(again.nodes, spec.nodes);
    assert_eq!(again.outputs, [("drop".to_owned(), (3, 0)), ("logits".to_owned(), (4, 0))].into());
    // Batches are left out.
    assert_eq!(GraphSpec::of(&spec.graph(4, &["drop"]).unwrap()), again);
}

#[test]
fn an_objective_is_composed_with_a_model() {
    let (model, objective) = (GraphSpec::parse(MODEL).unwrap(), GraphSpec::parse(OBJECTIVE).unwrap());
    let mut graph = Graph::new(4);
    let inlined = model.inline(&mut graph, &BTreeMap::new()).unwrap();
    assert_eq!(inlined.layers.keys().collect::<Vec<_>>(), ["drop", "fc"]);
    let inlined = objective.inline(&mut graph, &inlined.outputs).unwrap();
    for (name, value) in &inlined.outputs {
        graph.set_output(name, *value);
    }
    // The logits are the model's, the weight and the input are there already; only the label is new.
    let composed = r#"
        %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":2}}} ()
        %ce = softmax_cross_entropy {"label_smoothing":0.0} (%y, %label) @loss
        %decay = reduce {"reduction":"sum","axes":[0,1],"keep":false} (%w) @decay
        %mean = reduce {"reduction":"mean","axes":[0,1],"keep":false} (%x) @mean
        %sum = arithmetic {"function":"add"} (%ce, %decay) @sum
        output loss = %sum
        output mean = %mean"#;
    assert_graph(&graph, &format!("{MODEL_TEXT}{composed}"));
}

#[test]
fn wrong_specs_name_the_culprit() {
    let cases = [
        (r#""version": 1"#, r#""version": 2"#, "version 2 is not understood, only 1"),
        (r#""version": 1,"#, "", "missing field `version`"),
        (r#""version": 1,"#, r#""version": 1, "author": "me","#, "unknown field `author`"),
        (r#""path": "fc" }"#, r#""path": "fc", "name": "fc" }"#, "unknown field `name`"),
        (r#""transpose_b": true"#, r#""transpose_b": true, "transpose_c": true"#, "unknown field `transpose_c`"),
        (r#", "transpose_b": true"#, "", "missing field `transpose_b`"),
        (r#""kind": "parameter""#, r#""kind": "weight""#, "unknown variant `weight`"),
        (r#""relu": {}"#, r#""rely": {}"#, "unknown variant `rely`"),
        (r#""p": 0.5"#, r#""p": "half""#, "invalid type: string \"half\", expected f32"),
        (r#""shape": [2, 3]"#, r#""shape": [2, -3]"#, "invalid value: integer `-3`"),
        ("[[3, 0]]", "[[3]]", "invalid length 1"),
        (r#""drop": [3, 0] } }"#, r#""drop": [3, 0] }"#, "EOF while parsing"),
    ];
    for (right, wrong, message) in cases {
        assert!(MODEL.contains(right), "{right}");
        match GraphSpec::parse(&MODEL.replacen(right, wrong, 1)) {
            Err(GraphError::Spec(got)) => assert!(got.contains(message), "{wrong}: {got}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[test]
fn wrong_references_name_who_refers_to_what() {
    let cases = [
        ("[[0, 0], [1, 0]]", "[[0, 0], [9, 0]]", "node 2 at 'fc' refers to output 0 of node 9"),
        ("[[0, 0], [1, 0]]", "[[0, 0], [1, 1]]", "node 2 at 'fc' refers to output 1 of node 1"),
        ("[[0, 0], [1, 0]]", "[[0, 0], [2, 0]]", "node 2 at 'fc' refers to output 0 of node 2"),
        ("[[2, 0]]", "[[4, 0]]", "node 3 at 'drop' refers to output 0 of node 4"),
        (r#""logits": [4, 0]"#, r#""logits": [4, 1]"#, "'logits' refers to output 1 of node 4"),
        (r#""fc": [2, 0]"#, r#""fc": [5, 0]"#, "'fc' refers to output 0 of node 5"),
    ];
    for (right, wrong, message) in cases {
        assert!(MODEL.contains(right), "{right}");
        let error = GraphSpec::parse(&MODEL.replacen(right, wrong, 1)).unwrap().graph(4, &[]).unwrap_err();
        assert!(error.to_string().contains(message), "{wrong}: {error}");
    }
}

#[test]
fn wrong_shapes_layers_and_batches_name_the_culprit() {
    let wide = MODEL.replace("[2, 3]", "[2, 5]");
    let error = GraphSpec::parse(&wide).unwrap().graph(4, &[]).unwrap_err();
    assert_eq!(error.to_string(), "matmul at 'fc': expected a right operand with 3 rows, got 5");
    let spec = GraphSpec::parse(MODEL).unwrap();
    let error = spec.graph(4, &["layer1"]).unwrap_err();
    assert_eq!(error.to_string(), "there is no layer 'layer1'; there are: drop, fc");
    assert_eq!(spec.graph(0, &[]).unwrap_err().to_string(), "graph spec: a batch has one sample or more");
}

#[test]
fn two_forms_of_one_name_are_refused() {
    let model = GraphSpec::parse(MODEL).unwrap();
    let cases = [
        (
            r#""shape": [2, 3]"#,
            r#""shape": [3, 2]"#,
            "node 3 at '' has the state 'fc.weight' in another form than before",
        ),
        (
            r#""name": "x", "shape": [3]"#,
            r#""name": "x", "shape": [4]"#,
            "node 5 at '' has the input 'x' in another form than before",
        ),
    ];
    for (right, wrong, message) in cases {
        let mut graph = Graph::new(4);
        let outputs = model.inline(&mut graph, &BTreeMap::new()).unwrap().outputs;
        let objective = GraphSpec::parse(&OBJECTIVE.replacen(right, wrong, 1)).unwrap();
        let error = objective.inline(&mut graph, &outputs).err().unwrap();
        assert_eq!(error, GraphError::Spec(message.to_owned()));
    }
}

#[test]
fn the_example_in_the_documentation_is_valid() {
    let lines = include_str!("../../src/spec.rs").lines().map(|l| l.trim_start_matches("//!").trim());
    let example: String = lines.skip_while(|l| *l != "```json").skip(1).take_while(|l| *l != "```").collect();
    let graph = GraphSpec::parse(&example).unwrap().graph(2, &["conv1"]).unwrap();
    assert_eq!(graph.meta(graph.output("conv1").unwrap()).to_string(), "f32[2,28,28,16]");
}
