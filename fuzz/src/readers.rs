//! Every reader of foreign bytes, as a function that must return: no panic, no hang, and no more memory than its bound.
//!
//! The fuzzer calls these, and so does a test of the crate `network`, with the seeds.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_data::{ImageShape, Resize, decode_image, mnist};
use binary_nets_exec::{StateTable, plan};
use binary_nets_formats::model::{Model, Normalize};
use binary_nets_formats::onnx::{self, Imported};
use binary_nets_formats::{FormatError, Tensor, checkpoint, packed, weights};
use binary_nets_graph::passes::{Frozen, dce, evaluation, freeze, fuse, precompute};
use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, Node, Op, Value};
use binary_nets_network::{FrozenNetwork, Network};

/// What is fuzzed.
#[derive(Clone, Copy)]
pub struct Reader {
    /// The name of its seeds' folder.
    pub name: &'static str,
    /// Reads a file, a part of one, or what stands for several.
    pub read: fn(&[u8]),
    /// The bytes that it may take: so many times those of the file, and so many besides.
    pub memory: [usize; 2],
}

impl Reader {
    /// The bytes that reading so many bytes may take.
    pub const fn bound(&self, bytes: usize) -> usize {
        self.memory[0] * bytes + self.memory[1]
    }
}

const MIB: usize = 1 << 20;

/// All of them.
pub const READERS: &[Reader] = &[
    Reader { name: "pytorch", read: pytorch, memory: [32, 4 * MIB] },
    Reader { name: "pickle", read: pickle, memory: [32, 4 * MIB] },
    Reader { name: "safetensors", read: safetensors, memory: [64, MIB] },
    Reader { name: "checkpoint", read: checkpoint, memory: [4096, 64 * MIB] },
    Reader { name: "idx", read: idx, memory: [8, 8 * MIB] },
    // A graph of three ops for each node, and the plan of what would run.
    Reader { name: "spec", read: spec, memory: [4096, 64 * MIB] },
    Reader { name: "image", read: image, memory: [64, 128 * MIB] },
    Reader { name: "packed", read: packed, memory: [4096, 64 * MIB] },
    // Each bit may become a float, and the graph that reads them is planned.
    Reader { name: "onnx", read: onnx, memory: [4096, 64 * MIB] },
];

/// A file of `torch.save`.
fn pytorch(bytes: &[u8]) {
    let _ = weights::decode(bytes);
}

/// The pickle of a file of `torch.save`, with the storages `0` and `1`.
fn pickle(bytes: &[u8]) {
    let _ = weights::decode(&archive(&[("a/data.pkl", bytes), ("a/data/0", &[0; 8]), ("a/data/1", &[1; 64])]));
}

/// A zip archive of stored entries without checksums.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        // Version, flags, method, time, date, checksum; the sizes; the lengths of the name and of what is extra.
        let record = [&[20, 0, 0, 0], &[0; 10][..], &size, &size, &[name.len() as u8, 0, 0, 0]].concat();
        let at = (bytes.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &record[..], &[0; 10], &at, name.as_bytes()].concat());
        bytes.extend([b"PK\x03\x04", &record[..], name.as_bytes(), data].concat());
    }
    let (at, size) = ((bytes.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let count = [entries.len() as u8, 0];
    [&bytes[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &at, &[0, 0]].concat()
}

/// A safetensors file, and the same with the length that its header has.
fn safetensors(bytes: &[u8]) {
    let _ = weights::decode(bytes);
    let _ = weights::decode(&with_length(bytes));
}

/// The bytes of a safetensors file that says of its header what is so, if that ends with the last brace of all and the spaces behind it.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(brace) = bytes.iter().rposition(|&byte| byte == b'}') {
        let spaces = bytes[brace + 1..].iter().take_while(|&&byte| byte == b' ').count();
        if let Some(length) = (brace + 1 + spaces).checked_sub(8) {
            bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
        }
    }
    bytes
}

/// A checkpoint, and the same with the length and the checksum that it has. What is read can be written and read again, and opened if it is a network.
fn checkpoint(bytes: &[u8]) {
    let _ = checkpoint::decode(bytes);
    let mut bytes = with_length(bytes);
    if let Err(FormatError::Checksum { expected, got }) = checkpoint::decode(&bytes) {
        let field = format!("\"checksum\":\"{expected}");
        let Some(at) = bytes.windows(field.len()).position(|window| window == field.as_bytes()) else { return };
        let digits = at + field.len() - expected.len();
        bytes.splice(digits..digits + expected.len(), got.into_bytes());
    }
    if let Ok(checkpoint) = checkpoint::decode(&bytes) {
        let written = checkpoint::encode(&checkpoint).expect("what was read can be written");
        let again = checkpoint::decode(&written).expect("what was written can be read");
        assert!(checkpoint::encode(&again).as_ref() == Ok(&written), "a checkpoint changes when it is read");
        let path = in_memory("checkpoint");
        fs::write(&path, written).expect("a file of a checkpoint");
        let _ = Network::open(cpu(), &path);
        fs::remove_file(path).expect("what was written can be removed");
    }
}

/// The path of a file that is this process's own, in memory where there is a file system of that kind.
fn in_memory(name: &str) -> PathBuf {
    let folder = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.exists()).unwrap_or_else(std::env::temp_dir);
    folder.join(format!("binary-nets-fuzz-{}-{name}", std::process::id()))
}

/// Two IDX files, of labels and of images: the first byte is the length of the first.
fn idx(bytes: &[u8]) {
    let Some((&length, files)) = bytes.split_first() else { return };
    let (labels, images) = files.split_at(usize::from(length).min(files.len()));
    let (labels_path, images_path) = (in_memory("labels"), in_memory("images"));
    fs::write(&labels_path, labels).expect("a file of labels");
    fs::write(&images_path, images).expect("a file of images");
    let _ = mnist::open(&images_path, &labels_path);
    for path in [labels_path, images_path] {
        fs::remove_file(path).expect("what was written can be removed");
    }
}

/// The largest images that are decoded, in pixels: above it they would take all of the time. The limit of what is ever decoded has a test of its own.
const PIXELS: u64 = 1 << 20;

/// An image, decoded in two ways.
fn image(bytes: &[u8]) {
    if is_large(bytes) {
        return;
    }
    let shape = |channels| ImageShape { height: 8, width: 5, channels };
    if decode_image(bytes, shape(3), Resize::Shorter(9)).is_ok() {
        let pixels = decode_image(bytes, shape(1), Resize::Stretch).expect("an image that was read already");
        assert_eq!(pixels.len(), 40);
    }
}

/// Whether a PNG file says so in its first chunk, or a JPEG file in anything that may be the start of a frame.
fn is_large(bytes: &[u8]) -> bool {
    fn side(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |side, &byte| side << 8 | u64::from(byte))
    }
    let png = bytes.get(16..24).map_or(0, |sides| side(&sides[..4]).saturating_mul(side(&sides[4..])));
    let frames = bytes.windows(9).filter(|window| window[0] == 0xff && window[1] & 0xf0 == 0xc0);
    let jpeg = frames.map(|frame| side(&frame[5..7]) * side(&frame[7..9])).max().unwrap_or_default();
    if bytes.starts_with(b"\x89PNG") { png > PIXELS } else { jpeg > PIXELS }
}

/// The largest networks that are not only planned but run: in elements of all values together, and in multiply-adds.
const RUN_ELEMENTS: usize = 1 << 20;
const RUN_MACS: u64 = 1 << 22;

/// An ONNX model, for pixels and for floats: what is understood freezes and runs as any other network.
fn onnx(bytes: &[u8]) {
    let normalize = Normalize { mean: vec![0.5], std: vec![0.25] };
    for normalize in [None, Some(normalize)] {
        if let Ok(Imported { spec, states, .. }) = onnx::import(bytes, normalize) {
            evaluated(spec, &states);
        }
    }
}

/// The JSON of a graph.
fn spec(bytes: &[u8]) {
    if let Some(spec) = std::str::from_utf8(bytes).ok().and_then(|json| GraphSpec::parse(json).ok()) {
        evaluated(spec, &[]);
    }
}

/// A graph made, frozen and planned and, where that is little work, run with some of its states given.
fn evaluated(spec: GraphSpec, states: &[Tensor]) {
    let Ok(graph) = spec.graph(1, &[]) else { return };
    let Some(frozen) = dce(&graph).and_then(|graph| evaluation(&graph)).and_then(|graph| freeze(&dce(&graph)?)).ok()
    else {
        return;
    };
    planned(&frozen);
    if ![&graph, &frozen.fold, &frozen.run].into_iter().all(is_little) {
        return;
    }
    if let Ok(mut network) = Network::new(cpu(), spec, 1) {
        let _ = network.summary();
        for Tensor { path, data, .. } in states {
            network.set_state(path, data).expect("a state of the graph");
        }
        let _ = network.predict(&vec![7; pixels(&graph)], 1, &[]);
    }
}

/// A packed file with the sizes and the checksum that it has: what is read is written as it was and, where that is little work, run.
fn packed(bytes: &[u8]) {
    let _ = packed::decode(bytes);
    let mut bytes = bytes.to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    let Some(field) = bytes.get_mut(16..24) else { return };
    field.copy_from_slice(&length);
    if let Err(FormatError::Checksum { got, .. }) = packed::decode(&bytes) {
        let sum = u32::from_str_radix(&got, 16).expect("a checksum in hexadecimal");
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
    }
    let Ok(model) = packed::decode(&bytes) else { return };
    assert!(packed::encode(&model) == Ok(bytes), "a packed file that was not written so");
    frozen(model);
}

/// A model that may be run, planned and, where that is little work, run.
fn frozen(model: Model) {
    let graph = model.check().expect("a model that was checked");
    let Some(frozen) = dce(&graph).and_then(|graph| precompute(&graph)).ok() else { return };
    planned(&frozen);
    if ![&graph, &frozen.fold, &frozen.run].into_iter().all(is_little) {
        return;
    }
    if let Ok(mut network) = FrozenNetwork::new(cpu(), model) {
        let _ = network.predict(&vec![7; 2 * pixels(&graph)], 2, &[]);
    }
}

/// One for all inputs, for it has a thread.
fn cpu() -> Cpu {
    static CPU: OnceLock<Cpu> = OnceLock::new();
    CPU.get_or_init(|| Cpu::new(Some(1), Isa::detect()).expect("a CPU")).clone()
}

/// Plans both halves of a frozen network, the one that runs as it is and fused.
fn planned(Frozen { fold, run }: &Frozen) {
    for graph in [Some(fold), Some(run), fuse(run).ok().as_ref()].into_iter().flatten() {
        let mut states = StateTable::default();
        states.extend(&cpu(), graph);
        let _ = plan(&cpu(), graph, &states, 1);
    }
}

/// The pixels of one image.
fn pixels(graph: &Graph) -> usize {
    let input = graph.nodes().iter().find_map(|node| match &node.op {
        Op::Input(input) => Some(input.shape.elements()),
        _ => None,
    });
    input.unwrap_or_default()
}

fn is_little(graph: &Graph) -> bool {
    let elements = |values: &[Value]| values.iter().map(|&value| graph.meta(value).shape.elements()).sum::<usize>();
    let macs = |node: &Node| {
        let metas = |values: &[Value]| values.iter().map(|&value| graph.meta(value)).collect::<Vec<_>>();
        let macs = node.op.macs(&metas(&node.inputs), &metas(&node.outputs));
        macs.binary.saturating_add(macs.float)
    };
    graph.nodes().iter().map(|node| elements(&node.outputs)).sum::<usize>() < RUN_ELEMENTS
        && graph.nodes().iter().map(macs).fold(0, u64::saturating_add) < RUN_MACS
}
