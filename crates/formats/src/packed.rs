//! A frozen network as a file, `.bnn`.
//!
//! `docs/bnn-format.md` has it byte by byte. In short, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | [`VERSION`] |
//! | 12..16, 16..24 | the length of the header, as u32, and of the file, as u64 |
//! | 24..28 | the CRC-32 of every other byte of the file |
//! | 28..32 | 0 |
//! | 32.. | the header, JSON: `{ "graph", "tensors": [{ "path", "storage", "offset" }], "metadata" }` |
//! | from a multiple of 64 on | the tensors, the states of the graph, each at a multiple of 64 from the first one, 0 between them |
//!
//! A file that differs in any byte from what [`encode`] writes is refused, and nothing that it says is believed before it was checked: see [`Model::check`].

use std::ops::Range;

use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Meaning, ValueMeta};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::FormatError;
use crate::model::constant::{self, bit_layout, states};
use crate::model::{Constant, Elements, Metadata, Model, graph, metadata};

/// The first bytes.
pub const MAGIC: [u8; 8] = *b"\x89BNN\r\n\x1a\n";

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// The bytes in front of the header.
const PREAMBLE: usize = 32;

/// Where the preamble has the checksum.
const CHECKSUM: Range<usize> = 24..28;

/// Where tensors begin: at multiples of so many bytes.
const ALIGNMENT: usize = 64;

/// The JSON of the header.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    graph: GraphSpec,
    tensors: Vec<Entry>,
    metadata: Metadata,
}

/// Where a tensor lies.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    storage: Storage,
    /// From the first tensor on.
    offset: usize,
}

/// How the elements of a tensor are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Words of 64 bits.
    Bits,
    /// Integers of 8 bits.
    I8,
    /// Integers of 16 bits.
    I16,
    /// Floats of 16 bits.
    F16,
    /// Floats of 32 bits.
    F32,
}

impl Storage {
    /// How a constant is stored.
    pub const fn of(constant: &Constant) -> Self {
        match (&constant.data, constant.meta.meaning) {
            (Elements::Bits(_), _) => Self::Bits,
            (Elements::I16(_), meaning) => Self::of_integers(meaning),
            (Elements::F16(_), _) => Self::F16,
            (Elements::F32(_), _) => Self::F32,
        }
    }

    const fn of_integers(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Int { min, max } if min >= i8::MIN as i64 && max <= i8::MAX as i64 => Self::I8,
            _ => Self::I16,
        }
    }

    /// The name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bits => "bits",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// The bytes of a tensor that is stored so.
    pub fn bytes(self, meta: &ValueMeta) -> usize {
        let elements = meta.shape.elements();
        match (self, meta.meaning) {
            (Self::Bits, Meaning::Bit { groups, .. }) => bit_layout(meta, groups).len() * 8,
            (Self::Bits, _) => elements.div_ceil(64) * 8,
            (Self::I8, _) => elements,
            (Self::I16 | Self::F16, _) => elements * 2,
            (Self::F32, _) => elements * 4,
        }
    }

    /// What may be stored for a meaning, for messages.
    const fn expected(meaning: Meaning) -> &'static str {
        match (meaning, Self::of_integers(meaning)) {
            (Meaning::Bit { .. }, _) => "bits",
            (Meaning::Int { .. }, Self::I8) => "i8",
            (Meaning::Int { .. }, _) => "i16",
            (Meaning::F32 | Meaning::Index { .. }, _) => "f32 or f16",
        }
    }
}

/// A frozen network as the bytes of a file. Refuses what [`Model::check`] refuses, and a model that JSON cannot hold.
pub fn encode(model: &Model) -> Result<Vec<u8>, FormatError> {
    model.check()?;
    let mut data = Vec::new();
    let mut tensors = Vec::with_capacity(model.constants.len());
    for constant in &model.constants {
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        let (path, storage) = (constant.path.clone(), Storage::of(constant));
        tensors.push(Entry { path, storage, offset: data.len() });
        write(constant, &mut data)?;
    }
    let header = Header { graph: model.graph.clone(), tensors, metadata: model.metadata.clone() };
    let fail = |reason: String| FormatError::Header { offset: PREAMBLE, reason };
    let json = serde_json::to_vec(&header).map_err(|e| fail(e.to_string()))?;
    // JSON has no infinity, say.
    match serde_json::from_slice::<Header>(&json) {
        Ok(read) if read == header => {}
        Ok(_) => return Err(fail("a number that JSON does not keep".to_owned())),
        Err(e) => return Err(fail(e.to_string())),
    }
    let length = u32::try_from(json.len()).map_err(|_| fail(format!("{} bytes are too many", json.len())))?;

    let start = (PREAMBLE + json.len()).next_multiple_of(ALIGNMENT);
    let mut bytes = MAGIC.to_vec();
    bytes.reserve_exact(start + data.len());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(((start + data.len()) as u64).to_le_bytes());
    bytes.resize(PREAMBLE, 0);
    bytes.extend(json);
    bytes.resize(start, 0);
    bytes.extend(data);
    let sum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// A frozen network from the bytes of a file: whatever [`encode`] wrote, and nothing else. What it allocates is a small multiple of the file's size.
pub fn decode(bytes: &[u8]) -> Result<Model, FormatError> {
    if !bytes.starts_with(&MAGIC) && !MAGIC.starts_with(bytes) {
        return Err(if crate::header::Header::begins(bytes) {
            FormatError::OtherKind {
                found: "a checkpoint or a file of weights (.safetensors), no packed network (.bnn)",
                advice: "load the network and freeze it, or `binary-nets freeze` it",
            }
        } else {
            FormatError::NotPacked
        });
    }
    let cut = FormatError::Truncated { expected: PREAMBLE, got: bytes.len() };
    let version = field(bytes, 8).map(u32::from_le_bytes).ok_or_else(|| cut.clone())?;
    if version != VERSION {
        return Err(FormatError::Version { got: version, known: VERSION });
    }
    let length = field(bytes, 16).map(u64::from_le_bytes).ok_or_else(|| cut.clone())?;
    let expected = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes.len() > expected {
        return Err(FormatError::Trailing { offset: expected, extra: bytes.len() - expected });
    }
    if bytes.len() < expected.max(PREAMBLE) {
        return Err(FormatError::Truncated { expected: expected.max(PREAMBLE), got: bytes.len() });
    }
    let (expected, got) = (field(bytes, CHECKSUM.start).map(u32::from_le_bytes).unwrap_or_default(), checksum(bytes));
    if expected != got {
        return Err(FormatError::Checksum { expected: format!("{expected:08x}"), got: format!("{got:08x}") });
    }
    zeroes(bytes, CHECKSUM.end..PREAMBLE)?;
    let length = field(bytes, 12).map(u32::from_le_bytes).unwrap_or_default();
    let end = PREAMBLE.saturating_add(length as usize);
    let json = bytes.get(PREAMBLE..end).ok_or(FormatError::Truncated { expected: end, got: bytes.len() })?;
    let header: Header = serde_json::from_slice(json).map_err(|e| {
        let offset = PREAMBLE + e.column().saturating_sub(1).min(json.len());
        FormatError::Header { offset, reason: e.to_string() }
    })?;

    // JSON can say the same in many ways, and equal networks are equal files. What else is wrong is said first.
    let written = serde_json::to_vec(&header).unwrap_or_default();
    let graph = graph::check(&header.graph)?;
    let mut constants = Vec::with_capacity(header.tensors.len());
    let start = end.next_multiple_of(ALIGNMENT);
    let states = states(&graph);
    let mut at = end;
    if header.tensors.is_empty() {
        if bytes.len() < start {
            return Err(FormatError::Truncated { expected: start, got: bytes.len() });
        }
        zeroes(bytes, end..start)?;
        at = start;
    }
    for Entry { path, storage, offset } in header.tensors {
        let unknown = || FormatError::Tensor { path: path.clone(), reason: "is no constant of the graph".to_owned() };
        let meta = (*states.get(path.as_str()).ok_or_else(unknown)?).clone();
        let from = at.next_multiple_of(ALIGNMENT);
        if offset != from - start {
            return Err(FormatError::Offset { path, expected: from - start, got: offset });
        }
        let end = from.saturating_add(storage.bytes(&meta));
        let data = bytes.get(from..end).ok_or(FormatError::Truncated { expected: end, got: bytes.len() })?;
        zeroes(bytes, at..from)?;
        let Some(data) = read(meta.meaning, storage, data) else {
            let (expected, got) = (Storage::expected(meta.meaning), storage.name().to_owned());
            return Err(FormatError::Dtype { path, expected, got });
        };
        constants.push(Constant { path, meta, data });
        at = end;
    }
    if at != bytes.len() {
        return Err(FormatError::Trailing { offset: at, extra: bytes.len() - at });
    }
    constant::check(&graph, &constants)?;
    metadata::check(&graph, &header.metadata)?;
    if written != json {
        let offset = PREAMBLE + written.iter().zip(json).take_while(|(a, b)| a == b).count();
        return Err(FormatError::Header { offset, reason: "it is not as this library writes it".to_owned() });
    }
    Ok(Model { graph: header.graph, constants, metadata: header.metadata })
}

/// The bytes of a number of the preamble.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The checksum of every byte but its own.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CHECKSUM.start]);
    hasher.update(&bytes[CHECKSUM.end..]);
    hasher.finalize()
}

fn zeroes(bytes: &[u8], range: Range<usize>) -> Result<(), FormatError> {
    let first = range.start;
    match bytes[range].iter().position(|&byte| byte != 0) {
        Some(i) => Err(FormatError::NotZero { offset: first + i }),
        None => Ok(()),
    }
}

/// Appends the elements of a constant.
fn write(constant: &Constant, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
    match &constant.data {
        Elements::Bits(words) => bytes.extend(words.iter().flat_map(|word| word.to_le_bytes())),
        Elements::I16(integers) if Storage::of(constant) == Storage::I8 => {
            bytes.extend(integers.iter().map(|&integer| integer as u8));
        }
        Elements::I16(integers) => bytes.extend(integers.iter().flat_map(|integer| integer.to_le_bytes())),
        Elements::F16(floats) => {
            for &float in floats {
                let half = f16::from_f32(float);
                if half.to_f32().to_bits() != float.to_bits() && !float.is_nan() {
                    let reason = format!("holds {float}, which is no 16-bit float");
                    return Err(FormatError::Tensor { path: constant.path.clone(), reason });
                }
                bytes.extend(half.to_le_bytes());
            }
        }
        Elements::F32(floats) => bytes.extend(floats.iter().flat_map(|float| float.to_le_bytes())),
    }
    Ok(())
}

/// The elements of a tensor; nothing where its meaning is not stored so.
fn read(meaning: Meaning, storage: Storage, bytes: &[u8]) -> Option<Elements> {
    fn each<const N: usize, T>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&chunk| element(chunk)).collect()
    }
    match (meaning, storage) {
        (Meaning::Bit { .. }, Storage::Bits) => Some(Elements::Bits(each(bytes, u64::from_le_bytes))),
        (Meaning::Int { .. }, storage) if storage == Storage::of_integers(meaning) => {
            Some(Elements::I16(match storage {
                Storage::I8 => each(bytes, |byte| i8::from_le_bytes(byte).into()),
                _ => each(bytes, i16::from_le_bytes),
            }))
        }
        (Meaning::F32, Storage::F16) => Some(Elements::F16(each(bytes, |half| f16::from_le_bytes(half).to_f32()))),
        (Meaning::F32, Storage::F32) => Some(Elements::F32(each(bytes, f32::from_le_bytes))),
        _ => None,
    }
}
