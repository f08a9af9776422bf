//! Packed files: what is written is read, and nothing else is.

use binary_nets_bits::Codes;
use binary_nets_formats::FormatError;
use binary_nets_formats::model::{Constant, Elements, Metadata, Model, Normalize, Resize};
use binary_nets_formats::packed::{MAGIC, VERSION, decode, encode};
use binary_nets_graph::ops::{
    Affine, BinaryConv2d, Border, ImageConv2d, Increment, Input, Matmul, Reduce, Reduction, Scalar, Sign, State,
    StateKind, Surrogate,
};
use binary_nets_graph::spec::{GraphSpec, NodeSpec, ValueRef};
use binary_nets_graph::{Init, Meaning, Op, ValueMeta, Window};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Where the header begins.
const PREAMBLE: usize = 32;

/// What goes wrong with a thing.
type Change<'a, T> = &'a dyn Fn(&mut T);

/// A model under construction.
#[derive(Default)]
struct Builder {
    nodes: Vec<NodeSpec>,
    constants: Vec<Constant>,
}

impl Builder {
    fn add(&mut self, op: impl Into<Op>, inputs: &[ValueRef], path: &str) -> ValueRef {
        self.nodes.push(NodeSpec { op: op.into(), inputs: inputs.to_vec(), path: path.to_owned() });
        (self.nodes.len() - 1, 0)
    }

    fn constant(&mut self, path: &str, meaning: Meaning, shape: &[usize], data: Elements) -> ValueRef {
        let (path, kind, init) = (path.to_owned(), StateKind::Constant, Init::Constant(0.0));
        self.constants.push(Constant { path: path.clone(), meta: ValueMeta::new(meaning, shape), data });
        self.add(State { path, shape: shape.into(), kind, init, meaning }, &[], "")
    }

    fn floats(&mut self, path: &str, shape: &[usize]) -> ValueRef {
        let data = (0..shape.iter().product()).map(|i: usize| i as f32 / 7.0 - 1.0).collect();
        self.constant(path, Meaning::F32, shape, Elements::F32(data))
    }
}

/// An image of 4×4 pixels, a stem of 3×3, 65 channels of codes, a binary convolution with 5 outputs, their mean, a product: each storage once.
fn model() -> Model {
    let mut b = Builder::default();
    let pixels = Meaning::Int { min: 0, max: 255 };
    let image = b.add(Input { name: "image".to_owned(), shape: [4, 4, 1].into(), meaning: pixels }, &[], "image");
    let border = Border { window: Window::square(3, 1, 1), input: [4, 4] };
    let q = (0..65 * 9).map(|i| (i * 331 % 65535 - 32767) as i16).collect();
    let q = b.constant("conv1.q", Meaning::Int { min: -32767, max: 32767 }, &[65, 3, 3, 1], Elements::I16(q));
    let d = b.add(ImageConv2d { border }, &[image, q], "conv1");
    let (a, c) = (b.floats("bn1.a", &[65]), b.floats("bn1.c", &[3, 3, 65]));
    let x = b.add(Affine { border: Some(border) }, &[d, a, c], "bn1");
    let codes = b.add(Sign { gradient: Surrogate::Identity, groups: 1 }, &[x], "conv2");
    let words = (0..5 * 9).flat_map(|i| [0x9e37_79b9_7f4a_7c15u64.rotate_left(i), u64::from(i) & 1]).collect();
    let bits = b.constant("conv2.bits", Meaning::bits(Codes::Sign), &[5, 3, 3, 65], Elements::Bits(words));
    let d = b.add(BinaryConv2d { window: Window::square(3, 1, 1), pad_value: 0 }, &[codes, bits], "conv2");
    let (a, c) = (b.floats("bn2.a", &[5]), b.floats("bn2.c", &[5]));
    let y = b.add(Affine { border: None }, &[d, a, c], "bn2");
    let small = Elements::I16(vec![-128, 127, 0, 1, -1]);
    let small = b.constant("small", Meaning::Int { min: -128, max: 127 }, &[1, 5], small);
    let (one, zero) = (b.floats("one", &[5]), b.floats("zero", &[5]));
    let small = b.add(Affine { border: None }, &[small, one, zero], "small");
    let mean = b.add(Reduce { reduction: Reduction::Mean, axes: vec![1, 2], keep: false }, &[y], "pool");
    let mean = b.add(binary_nets_graph::ops::Arithmetic::ADD, &[mean, small], "pool");
    let half = (0..10).map(|i| i as f32 / 8.0).collect();
    let weight = b.constant("fc.weight", Meaning::F32, &[2, 5], Elements::F16(half));
    let logits = b.add(Matmul { transpose_a: false, transpose_b: true }, &[mean, weight], "fc");
    let Builder { nodes, constants } = b;
    let graph = GraphSpec {
        version: 1,
        nodes,
        outputs: [("logits".to_owned(), logits)].into(),
        layers: [("bn2".to_owned(), y)].into(),
    };
    let metadata = Metadata {
        classes: Some(vec!["no".to_owned(), "yes ☑".to_owned()]),
        normalize: Some(Normalize { mean: vec![0.1307], std: vec![1.0 / 3.0] }),
        resize: Resize::Shorter(5),
        training: Some(json!({ "epochs": 3, "γ": 0.577_215_664_901_532_9 })),
    };
    Model { graph, constants, metadata }
}

fn refused(bytes: &[u8]) -> String {
    decode(bytes).expect_err("refused").to_string()
}

/// The JSON of the header, and what lies behind it.
fn parts(bytes: &[u8]) -> (Value, Vec<u8>) {
    let end = PREAMBLE + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[PREAMBLE..end]).unwrap(), bytes[end.next_multiple_of(64)..].to_vec())
}

/// A file of that header and those tensors, with every length and the checksum as they should be.
fn file(header: &str, tensors: &[u8]) -> Vec<u8> {
    let start = (PREAMBLE + header.len()).next_multiple_of(64);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(((start + tensors.len()) as u64).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(header.as_bytes());
    bytes.resize(start, 0);
    bytes.extend(tensors);
    seal(&mut bytes);
    bytes
}

fn seal(bytes: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..24]);
    hasher.update(&bytes[28..]);
    bytes[24..28].copy_from_slice(&hasher.finalize().to_le_bytes());
}

/// Why a file with a changed header is refused.
fn with_header(change: impl FnOnce(&mut Value)) -> String {
    let (mut header, tensors) = parts(&encode(&model()).unwrap());
    change(&mut header);
    refused(&file(&header.to_string(), &tensors))
}

/// Why a model is refused, and that its file would be too.
fn with_model(change: impl FnOnce(&mut Model)) -> String {
    let mut model = model();
    change(&mut model);
    encode(&model).expect_err("refused").to_string()
}

#[test]
fn a_model_is_read_as_it_was_written() {
    let (model, bytes) = (model(), encode(&model()).unwrap());
    assert_eq!(decode(&bytes).unwrap(), model);
    assert_eq!(encode(&decode(&bytes).unwrap()).unwrap(), bytes);
    // The documented layout.
    let (header, tensors) = parts(&bytes);
    assert_eq!(&bytes[..16], [&MAGIC[..], &1u32.to_le_bytes(), &bytes[12..16]].concat());
    assert_eq!(u64::from_le_bytes(bytes[16..24].try_into().unwrap()), bytes.len() as u64);
    assert_eq!(
        file(&String::from_utf8_lossy(&bytes[PREAMBLE..][..bytes[12] as usize + 256 * bytes[13] as usize]), &tensors),
        bytes
    );
    let storages: Vec<_> =
        header["tensors"].as_array().unwrap().iter().map(|t| t["storage"].as_str().unwrap()).collect();
    assert_eq!(storages, ["i16", "f32", "f32", "bits", "f32", "f32", "i8", "f32", "f32", "f16"]);
    assert!(header["tensors"].as_array().unwrap().iter().all(|t| t["offset"].as_u64().unwrap() % 64 == 0));
    assert_eq!(&tensors[..4], [-32767i16, 331 - 32767].map(i16::to_le_bytes).concat());
    assert!(tensors.ends_with(&0x3c80u16.to_le_bytes()), "9/8 in 16 bits");
}

#[test]
fn a_model_without_tensors_is_read_too() {
    let mut model = model();
    model.graph.nodes.truncate(1);
    (model.graph.outputs, model.graph.layers) = ([("pixels".to_owned(), (0, 0))].into(), [].into());
    model.constants.clear();
    for path in ["a", "the path of a header that is as long as no other one's"] {
        model.graph.nodes[0].path = path.to_owned();
        let bytes = encode(&model).unwrap();
        assert_eq!(decode(&bytes).unwrap(), model);
        decode(&bytes[..bytes.len() - 1]).expect_err("cut off");
    }
}

#[test]
fn any_other_byte_is_noticed() {
    let bytes = encode(&model()).unwrap();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            decode(&bytes).expect_err("a byte was changed");
        }
    }
}

#[test]
fn files_that_are_cut_off_or_go_on_are_refused() {
    let bytes = encode(&model()).unwrap();
    for length in 0..bytes.len() {
        let error = decode(&bytes[..length]).unwrap_err();
        assert!(matches!(error, FormatError::Truncated { got, .. } if got == length), "{length}: {error}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert_eq!(decode(&longer).unwrap_err(), FormatError::Trailing { offset: bytes.len(), extra: 1 });
    for foreign in [&b"PK\x03\x04 and so on"[..], b"\x89PNG\r\n\x1a\n", b"{}"] {
        assert_eq!(decode(foreign).unwrap_err(), FormatError::NotPacked);
    }
    // Those of each other's kind say so.
    let weights = [&20u64.to_le_bytes()[..], br#"{"__metadata__":{}}  "#].concat();
    let error = decode(&weights).unwrap_err();
    assert!(matches!(error, FormatError::OtherKind { .. }) && error.to_string().contains("freeze"), "{error}");
    let error = binary_nets_formats::checkpoint::decode(&bytes).err().unwrap();
    assert!(matches!(error, FormatError::OtherKind { .. }) && error.to_string().contains("loadFrozen"), "{error}");
    // As a transfer as text changes it.
    let text = [b"\x89BNN\n\x1a\n", &bytes[8..]].concat();
    assert_eq!(decode(&text).unwrap_err(), FormatError::NotPacked);
}

#[test]
fn a_later_version_is_named_before_anything_else_is_looked_at() {
    let mut bytes = encode(&model()).unwrap();
    bytes[8] = 2;
    let expected =
        "the file is of version 2 of the packed format, and only version 1 is read: a newer binary-nets wrote it";
    assert_eq!(refused(&bytes), expected);
    assert_eq!(refused(&bytes[..12]), expected);
}

#[test]
fn bytes_between_the_parts_are_zero() {
    let bytes = encode(&model()).unwrap();
    let end = PREAMBLE + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    // Behind the preamble's fields, the header and the tensor of 65 · 9 integers of 16 bits.
    let behind_tensor = end.next_multiple_of(64) + 65 * 9 * 2;
    for at in [31, end, behind_tensor] {
        let mut bytes = bytes.clone();
        bytes[at] = 1;
        seal(&mut bytes);
        assert_eq!(decode(&bytes).unwrap_err(), FormatError::NotZero { offset: at });
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let bytes = encode(&model()).unwrap();
    for length in [0, 1, 2, 100, u32::MAX / 2, u32::MAX] {
        let mut bytes = bytes.clone();
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        seal(&mut bytes);
        decode(&bytes).expect_err("a header of another length");
    }
    for length in [0, 31, 32, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[16..24].copy_from_slice(&u64::to_le_bytes(length));
        seal(&mut bytes);
        decode(&bytes).expect_err("a file of another length");
    }
}

#[test]
fn headers_that_lie_about_tensors_are_refused() {
    let cases: [(Change<Value>, &str); 11] = [
        (&|h| h["tensors"][1]["offset"] = json!(0), "'bn1.a' should start at byte"),
        (&|h| h["tensors"][1]["offset"] = json!(1_u64 << 60), "'bn1.a' should start at byte"),
        (&|h| h["tensors"][1]["offset"] = json!(-64), "the header is wrong at byte"),
        (&|h| h["tensors"][1]["path"] = json!("conv9.q"), "'conv9.q' is no constant of the graph"),
        (&|h| h["tensors"][8]["path"] = json!("one"), "the key 'one' is taken already"),
        (&|h| h["tensors"][1]["storage"] = json!("bits"), "tensor 'bn1.a' should be f32 or f16, not bits"),
        (&|h| h["tensors"][9]["storage"] = json!("i16"), "tensor 'fc.weight' should be f32 or f16, not i16"),
        (&|h| h["tensors"][9]["storage"] = json!("f32"), "the file ends after"),
        (&|h| drop(h["tensors"].as_array_mut().unwrap().pop()), "bytes too many from byte"),
        (&|h| h["tensors"][0]["size"] = json!(3), "unknown field `size`"),
        (&|h| h["more"] = json!(3), "unknown field `more`"),
    ];
    for (change, expected) in cases {
        let error = with_header(change);
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
    assert!(refused(&file("", &[])).contains("the header is wrong at byte 32"));
    assert!(refused(&file("{\"graph\":\u{fffd}", &[])).contains("the header is wrong"));
    let deep = "[".repeat(100_000);
    assert!(refused(&file(&format!("{{\"metadata\":{{\"training\":{deep}"), &[])).contains("recursion limit"));
}

/// The attributes of the state of that path.
fn state<'h>(header: &'h mut Value, path: &str) -> &'h mut Value {
    let nodes = header["graph"]["nodes"].as_array_mut().unwrap();
    let of_path = |node: &&mut Value| node["op"]["state"]["path"] == path;
    &mut nodes.iter_mut().find(of_path).unwrap()["op"]["state"]
}

#[test]
fn graphs_that_no_frozen_network_has_are_refused() {
    const HUGE: u64 = 1 << 62;
    let cases: [(Change<Value>, &str); 21] = [
        (&|h| state(h, "bn2.a")["shape"] = json!([HUGE, HUGE]), "fewer than 2^31 elements"),
        (&|h| state(h, "bn2.a")["shape"] = json!([6]), "affine at 'bn2'"),
        (&|h| state(h, "bn2.a")["shape"] = json!([0]), "extents of 1 or more"),
        (&|h| state(h, "bn2.a")["shape"] = json!(vec![1; 9]), "9 axes, and 8 are allowed"),
        (&|h| state(h, "bn2.a")["kind"] = json!("parameter"), "a state that is no constant"),
        (&|h| state(h, "bn2.a")["meaning"] = json!({"index": {"classes": 5}}), "a constant index(5)[5]"),
        (&|h| state(h, "conv2.bits")["meaning"]["bit"]["groups"] = json!(0), "a constant bit(sign,0)"),
        (&|h| state(h, "conv2.bits")["meaning"]["bit"]["groups"] = json!(HUGE), "a constant bit(sign,"),
        (&|h| state(h, "small")["meaning"]["int"] = json!({"min": 1, "max": -1}), "a constant int(1..-1)"),
        (&|h| state(h, "small")["meaning"]["int"]["max"] = json!(i64::MAX), "a constant int(-128.."),
        (&|h| h["graph"]["nodes"][0]["op"]["input"]["shape"] = json!([1 << 20, 4, 1]), "is no image"),
        (&|h| h["graph"]["nodes"][0]["op"]["input"]["shape"] = json!([4, 0, 1]), "is no image"),
        (&|h| h["graph"]["nodes"][0]["op"]["input"]["meaning"] = json!("f32"), "is no image"),
        (
            &|h| h["graph"]["nodes"][2]["op"]["image_conv2d"]["border"]["window"]["padding"] = json!([HUGE, 0]),
            "a window that reaches",
        ),
        (&|h| h["graph"]["nodes"][5]["op"]["affine"]["border"]["input"] = json!([HUGE, 4]), "an image of"),
        (&|h| h["graph"]["nodes"][6]["op"]["sign"]["gradient"] = json!({"custom": h["graph"]}), "a gradient"),
        (&|h| h["graph"]["version"] = json!(9), "version 9 is not understood"),
        (&|h| h["graph"]["nodes"][2]["inputs"][0] = json!([99, 0]), "which is not defined before it"),
        (&|h| h["graph"]["outputs"] = json!({}), "1 inputs and 0 outputs"),
        (&|h| h["graph"]["layers"]["x"] = json!([0, 7]), "'x' refers to output 7 of node 0"),
        (&|h| h["graph"]["nodes"] = json!(vec![h["graph"]["nodes"][0].clone(); 9000]), "9000 nodes or names"),
    ];
    for (change, expected) in cases {
        let error = with_header(change);
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
    for (op, name) in [(Op::from(Increment {}), "increment"), (Scalar { name: "lr".to_owned() }.into(), "scalar")] {
        let error = with_model(|m| m.graph.nodes.push(NodeSpec { op, inputs: vec![(1, 0)], path: "x".to_owned() }));
        assert!(error.contains(&format!("{name} at 'x': no frozen network has such an op")), "{error}");
    }
    let second =
        Input { name: "second".to_owned(), shape: [4, 4, 1].into(), meaning: Meaning::Int { min: 0, max: 255 } };
    let error = with_model(|m| m.graph.nodes.push(NodeSpec { op: second.into(), inputs: vec![], path: String::new() }));
    assert!(error.contains("2 inputs"), "{error}");
}

#[test]
fn data_keep_to_what_the_graph_says_of_them() {
    let constant = |m: &mut Model, path: &str, change: &dyn Fn(&mut Constant)| {
        change(m.constants.iter_mut().find(|c| c.path == path).unwrap());
    };
    let cases: [(&str, Change<Constant>, &str); 8] = [
        (
            "conv1.q",
            &|c| set(c, |_: &mut Vec<i16>| i16::MIN),
            "'conv1.q' is int(-32767..32767)[65,3,3,1] and holds -32768",
        ),
        ("small", &|c| set(c, |_: &mut Vec<i16>| 128), "'small' is int(-128..127)[1,5] and holds 128"),
        ("conv2.bits", &|c| bits(c, 1, 2), "'conv2.bits' has bits behind the last channel of a group"),
        ("conv2.bits", &|c| c.data = Elements::Bits(vec![0; 3]), "holds 3 elements or words, not 90"),
        ("bn2.a", &|c| c.data = Elements::F32(vec![0.0; 6]), "holds 6 elements or words, not 5"),
        ("bn2.a", &|c| c.data = Elements::Bits(vec![0]), "'bn2.a' is f32[5] and holds bits"),
        ("bn2.a", &|c| c.meta = ValueMeta::f32([6]), "'bn2.a' should be f32[5], not f32[6]"),
        ("fc.weight", &|c| c.data = Elements::F16(vec![0.1; 10]), "'fc.weight' holds 0.1, which is no 16-bit float"),
    ];
    for (path, change, expected) in cases {
        let error = with_model(|m| constant(m, path, change));
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
    // In a file the checksum may be right and the data wrong: word 1 of the bits has one channel.
    let bytes = encode(&model()).unwrap();
    let (header, mut tensors) = parts(&bytes);
    let at = header["tensors"][3]["offset"].as_u64().unwrap() as usize + 8;
    tensors[at] |= 2;
    let error = refused(&file(&header.to_string(), &tensors));
    assert!(error.contains("'conv2.bits' has bits behind the last channel"), "{error}");
    // Numbers that are none are data like others.
    let mut model = model();
    constant(&mut model, "bn2.a", &|c| c.data = Elements::F32(vec![f32::NAN, f32::INFINITY, -0.0, 1e-45, f32::MAX]));
    let read = decode(&encode(&model).unwrap()).unwrap();
    let Elements::F32(data) = &read.constants.iter().find(|c| c.path == "bn2.a").unwrap().data else {
        panic!("floats")
    };
    assert_eq!(data[1..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [0x7f80_0000, 0x8000_0000, 1, 0x7f7f_ffff]);
    assert!(data[0].is_nan());
}

/// Replaces the first integer.
fn set(constant: &mut Constant, value: impl Fn(&mut Vec<i16>) -> i16) {
    if let Elements::I16(integers) = &mut constant.data {
        integers[0] = value(integers);
    }
}

/// Sets bits of a word.
fn bits(constant: &mut Constant, word: usize, mask: u64) {
    if let Elements::Bits(words) = &mut constant.data {
        words[word] |= mask;
    }
}

#[test]
fn metadata_fit_the_graph() {
    let cases: [(Change<Metadata>, &str); 5] = [
        (&|m| m.classes = Some(vec![]), "the names of 0 classes, and there are 2 logits"),
        (&|m| m.normalize = Some(Normalize { mean: vec![0.0; 3], std: vec![1.0; 3] }), "of 1 channels"),
        (&|m| m.normalize = Some(Normalize { mean: vec![0.0], std: vec![0.0] }), "positive standard deviations"),
        (&|m| m.normalize = Some(Normalize { mean: vec![f64::NAN], std: vec![1.0] }), "positive standard deviations"),
        (&|m| m.resize = Resize::Shorter(0), "a shorter side of 0 pixels"),
    ];
    for (change, expected) in cases {
        let error = with_model(|m| change(&mut m.metadata));
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
}

proptest! {
    /// Whatever the header says, the answer is a model or an error.
    #[test]
    fn headers_of_which_bytes_were_exchanged_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&model()).unwrap();
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        for (at, byte) in changes {
            bytes[PREAMBLE + at.index(length)] = byte;
        }
        seal(&mut bytes);
        if let Ok(model) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&model).unwrap()).unwrap(), model);
        }
    }

    /// The same for numbers, most of which keep the JSON whole.
    #[test]
    fn headers_with_other_numbers_are_read_or_refused(which in any::<prop::sample::Index>(), number in number()) {
        let (mut header, tensors) = parts(&encode(&model()).unwrap());
        let mut places = Vec::new();
        numbers(&mut header, &mut places);
        let at = which.index(places.len());
        *places.swap_remove(at) = number;
        if let Ok(model) = decode(&file(&header.to_string(), &tensors)) {
            prop_assert_eq!(decode(&encode(&model).unwrap()).unwrap(), model);
        }
    }
}

fn number() -> impl Strategy<Value = Value> {
    let edges = [0, 1, 2, -1, 63, 64, 65, 1 << 15, 1 << 31, 1 << 40, i64::MAX, i64::MIN];
    prop_oneof![prop::sample::select(edges.to_vec()).prop_map(Value::from), any::<u64>().prop_map(Value::from)]
}

/// Every number of a JSON value.
fn numbers<'v>(value: &'v mut Value, into: &mut Vec<&'v mut Value>) {
    match value {
        Value::Number(_) => into.push(value),
        Value::Array(list) => list.iter_mut().for_each(|item| numbers(item, into)),
        Value::Object(fields) => fields.values_mut().for_each(|field| numbers(field, into)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
