//! Freezing with products of float maps in 8 bits.

use binary_nets_graph::ops::{Border, Quantize};
use binary_nets_graph::passes::{
    Ends, Freezing, Frozen, Range, Ranges, dce, extremes, float_maps, freeze_with, fuse, fusion_report,
};
use binary_nets_graph::{Graph, Node, Op, Window};

use crate::text::graph;

/// A stem, a shortcut with a stride and its norm, a convolution with padding that reads the same map, one with groups, and a classifier.
const ENDS: &str = r#"graph batch=1
    %image = input {"name":"image","shape":[4,4,1],"meaning":{"int":{"min":0,"max":255}}} ()
    %pixels = normalize_image {"mean":[0.5],"std":[0.25]} (%image) @normalize
    %w = state {"path":"stem.weight","shape":[2,1,1,1],"kind":"parameter","init":ZERO} ()
    %stem = conv2d {"window":W1,"groups":1} (%pixels, %w) @stem
    %x = relu {} (%stem) @relu
    %ws = state {"path":"short.weight","shape":[2,2,1,1],"kind":"parameter","init":ZERO} ()
    %d = conv2d {"window":W1S2,"groups":1} (%x, %ws) @short
    %g = state {"path":"bn.weight","shape":[2],"kind":"parameter","init":ZERO} ()
    %b = state {"path":"bn.bias","shape":[2],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"bn.running_mean","shape":[2],"kind":"statistic","init":ZERO} ()
    %v = state {"path":"bn.running_var","shape":[2],"kind":"statistic","init":ZERO} ()
    %short = batch_norm_inference {"eps":0.5} (%d, %g, %b, %m, %v) @bn
    %wp = state {"path":"wide.weight","shape":[2,2,3,3],"kind":"parameter","init":ZERO} ()
    %wide = conv2d {"window":W3,"groups":1} (%x, %wp) @wide
    %wg = state {"path":"groups.weight","shape":[2,1,1,1],"kind":"parameter","init":ZERO} ()
    %groups = conv2d {"window":W1,"groups":2} (%wide, %wg) @groups
    %features = reduce {"reduction":"mean","axes":[1,2],"keep":false} (%groups) @pool
    %wf = state {"path":"fc.weight","shape":[3,2],"kind":"parameter","init":ZERO} ()
    %bf = state {"path":"fc.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %p = matmul {"transpose_a":false,"transpose_b":true} (%features, %wf) @fc
    %logits = arithmetic {"function":"add"} (%p, %bf) @fc
    output short = %short
    output logits = %logits"#;

fn ends() -> Graph {
    graph(&ENDS.replace("W1S2", r#"{"kernel":[1,1],"stride":[2,2],"padding":[0,0],"dilation":[1,1]}"#))
}

fn frozen(ends: &Graph, ranges: [Range; 2]) -> Frozen {
    let ranges: Ranges = float_maps(ends).into_iter().zip(ranges).collect();
    freeze_with(ends, &Freezing { ends: Ends::Int8(ranges), ..Freezing::default() }).unwrap()
}

#[test]
fn the_maps_are_those_that_float_products_read() {
    let ends = ends();
    let maps: Vec<String> = float_maps(&ends).iter().map(|&map| ends.producer(map).path.clone()).collect();
    assert_eq!(maps, ["relu", "pool"]);
}

#[test]
fn extremes_are_reduced_image_by_image() {
    let ends = ends();
    let graph = dce(&extremes(&ends, &float_maps(&ends)[1..]).unwrap()).unwrap();
    let outputs: Vec<_> = graph.outputs().iter().map(|(name, v)| (name.as_str(), graph.meta(*v).to_string())).collect();
    assert_eq!(outputs, [("high0", "f32[1]".to_owned()), ("low0", "f32[1]".to_owned())]);
}

#[test]
fn products_of_maps_become_integers() {
    // 255 steps from 0 to 2, and from −1 to 4.
    let ranges = [Range { low: 0.0, high: 2.0 }, Range { low: -1.0, high: 4.0 }];
    let Frozen { fold, run } = frozen(&ends(), ranges);
    let folds = fold.nodes().iter().filter_map(|node| match &node.op {
        Op::FoldStem(op) => Some((node.path.as_str(), op.largest, op.mean[0], op.std[0], op.border, op.steps.len())),
        _ => None,
    });
    let border = |kernel, padding, side| Border { window: Window::square(kernel, 1, padding), input: [side; 2] };
    assert_eq!(
        folds.collect::<Vec<_>>(),
        [
            ("stem", 127, 0.5, 0.25, border(1, 0, 4), 0),
            ("wide", 127, 0.0, 0.5, border(3, 1, 4), 0),
            ("fc", 127, 0.2, 0.2, border(1, 0, 1), 0),
            // What the stride steps over is not there any more.
            ("bn", 127, 0.0, 0.5, border(1, 0, 2), 1),
        ]
    );
    assert_eq!(
        quantized(&run),
        [
            ("short", Quantize { factor: 127.5, zero: 0, stride: [2, 2] }),
            ("wide", Quantize { factor: 127.5, zero: 0, stride: [1, 1] }),
            ("fc", Quantize { factor: 51.0, zero: 51, stride: [1, 1] }),
        ]
    );
    let named: Vec<&str> = fold.outputs().iter().map(|(name, _)| name.as_str()).collect();
    for name in ["stem.q", "short.q", "bn.a", "bn.c", "wide.q", "fc.q", "fc.scale.a", "fc.scale.c", "groups.weight"] {
        assert!(named.contains(&name), "{name} in {named:?}");
    }
    let floats = |node: &&Node| matches!(node.op, Op::Conv2d(_) | Op::Matmul(_));
    assert_eq!(run.nodes().iter().filter(floats).map(|node| node.path.as_str()).collect::<Vec<_>>(), ["groups"]);
}

/// The paths and attributes of all ops that make bytes.
fn quantized(run: &Graph) -> Vec<(&str, Quantize)> {
    let of = |node: &'_ Node| if let Op::Quantize(op) = &node.op { Some(op.clone()) } else { None };
    run.nodes().iter().filter_map(|node| Some((node.path.as_str(), of(node)?))).collect()
}

#[test]
fn a_product_of_bytes_takes_in_what_stands_behind_it() {
    let Frozen { run, .. } = frozen(&ends(), [Range { low: 0.0, high: 2.0 }; 2]);
    let rows = fusion_report(&fuse(&run).unwrap());
    let of = |path: &str| rows.iter().find(|row| row.path == path).map(|row| (row.op, row.fused.clone()));
    assert_eq!(of("stem"), Some(("image_conv2d", vec!["affine", "relu"])));
    assert_eq!(of("short"), Some(("image_conv2d", vec!["affine"])));
    assert_eq!(of("fc"), Some(("image_conv2d", vec!["affine", "reshape", "add"])));
}

#[test]
fn ranges_hold_zero() {
    for (range, factor, zero) in [
        (Range { low: 1.0, high: 2.0 }, 127.5, 0),
        (Range { low: -2.0, high: -1.0 }, 127.5, 255),
        (Range { low: 0.0, high: 0.0 }, 1.0, 0),
        (Range { low: 0.0, high: f32::MIN_POSITIVE / 4.0 }, f32::MAX, 0),
    ] {
        let Frozen { run, .. } = frozen(&ends(), [range; 2]);
        assert_eq!(quantized(&run)[2].1, Quantize { factor, zero, stride: [1, 1] }, "{range:?}");
    }
}
