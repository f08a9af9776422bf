//! Graphs as text, with the words that make them short.

use binary_nets_graph::Graph;

/// The node's path looks like the syntax around it.
const CUSTOM: &str = r#"{"custom":{"version":1,"nodes":[{"op":{"input":{"name":"x","shape":[],"meaning":"f32"}}},{"op":{"input":{"name":"g","shape":[],"meaning":"f32"}}},{"op":{"scalar":{"name":"progress"}}},{"op":{"arithmetic":{"function":"mul"}},"inputs":[[1,0],[2,0]],"path":"(@ } = %x"}],"outputs":{"dx":[3,0]},"layers":{}}}"#;

/// Reads a dump in which these words stand for what is long: `W1`, `W2`, `W3` are square windows of that kernel (stride 2 without padding for `W2`, stride 1
/// that keeps the extents for the others), `ZERO` is a start at zero, `SIGN` and `STEP` the meanings of packed signs and steps, `CUSTOM` a gradient `g·progress` of a host.
pub fn graph(text: &str) -> Graph {
    Graph::parse(&spell(text)).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The same words, spelled out.
pub fn spell(text: &str) -> String {
    let window = |kernel, stride, padding| {
        format!(
            r#"{{"kernel":[{kernel},{kernel}],"stride":[{stride},{stride}],"padding":[{padding},{padding}],"dilation":[1,1]}}"#
        )
    };
    text.replace("W1", &window(1, 1, 0))
        .replace("W2", &window(2, 2, 0))
        .replace("W3", &window(3, 1, 1))
        .replace("ZERO", r#"{"constant":0.0}"#)
        .replace("SIGN", r#"{"bit":{"codes":"sign","groups":1}}"#)
        .replace("CUSTOM", CUSTOM)
        .replace("STEP", r#"{"bit":{"codes":"step","groups":1}}"#)
}

/// A graph is the one that the text describes: the same nodes in the same order, under whatever names.
#[track_caller]
pub fn assert_graph(actual: &Graph, expected: &str) {
    let (actual, expected) = (actual.dump(), graph(expected).dump());
    assert!(actual == expected, "--- got ---\n{actual}--- expected ---\n{expected}");
}
