//! What training saves and resumes from: a safetensors file, which `PyTorch` opens by the same keys.
//!
//! The model's spec, the host's own JSON, step and seed stand in the header's `__metadata__`, beside a CRC-32 of the whole file but its own eight
//! digits. Equal checkpoints are equal bytes.

use crate::FormatError;
use crate::header::Header;

/// Everything that a network is resumed from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Checkpoint {
    /// The model, as the JSON of a `GraphSpec`.
    pub spec: String,
    /// What the host wants to keep with it, verbatim.
    pub metadata: String,
    /// Updates made.
    pub step: u64,
    /// The seed of the network's random numbers.
    pub seed: u64,
    /// Parameters, running statistics, moments. [`decode`] gives them sorted by path.
    pub tensors: Vec<CheckpointTensor>,
}

/// One tensor of a checkpoint.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckpointTensor {
    /// Its key: `layer1.0.conv1.weight`.
    pub path: String,
    /// Its extents.
    pub shape: Vec<usize>,
    /// Its elements, the last axis fastest.
    pub data: Vec<f32>,
}

/// What the field `format` says.
const FORMAT: &str = "binary-nets";

/// What the field `version` says: the version that is written and read.
const VERSION: &str = "1";

/// The type of every tensor, as safetensors calls it.
const DTYPE: &str = "F32";

/// What stands in front of the checksum. Quotes inside of JSON strings are escaped, so only the field itself looks like this.
const CHECKSUM_FIELD: &[u8] = b"\"checksum\":\"";

/// The digits of a checksum.
const CHECKSUM_DIGITS: usize = 8;

/// A checkpoint as the bytes of a file.
///
/// Refuses tensors whose data is not of the size of their shape, keys that occur twice and headers beyond what safetensors allows.
pub fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, FormatError> {
    let mut tensors: Vec<&CheckpointTensor> = checkpoint.tensors.iter().collect();
    tensors.sort_by_key(|t| &t.path);

    let mut header = Header::default();
    let fields = [
        ("format", FORMAT.to_owned()),
        ("version", VERSION.to_owned()),
        ("spec", checkpoint.spec.clone()),
        ("metadata", checkpoint.metadata.clone()),
        ("step", checkpoint.step.to_string()),
        ("seed", checkpoint.seed.to_string()),
        ("checksum", "0".repeat(CHECKSUM_DIGITS)),
    ];
    header.metadata.extend(fields.map(|(field, value)| (field.to_owned(), value)));
    let mut data_bytes = 0;
    for tensor in &tensors {
        let bytes = size_of_val(&tensor.data[..]);
        check_size(&tensor.path, &tensor.shape, bytes)?;
        data_bytes = header.push(&tensor.path, DTYPE, &tensor.shape, bytes, data_bytes)?;
    }

    let mut bytes = header.encode()?;
    let data_start = bytes.len();
    bytes.reserve_exact(data_bytes);
    for tensor in tensors {
        bytes.extend(tensor.data.iter().flat_map(|x| x.to_le_bytes()));
    }
    let (at, sum) = checksum(&bytes, data_start)?;
    bytes[at..at + CHECKSUM_DIGITS].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// A checkpoint from the bytes of a file.
///
/// Refuses every file that [`encode`] did not write, byte for byte: cut off, corrupted, of another version, or foreign.
pub fn decode(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
    let (mut header, data_start) = Header::decode(bytes)?;
    expect(&mut header, "format", FORMAT)?;
    expect(&mut header, "version", VERSION)?;
    let expected = take(&mut header, "checksum")?;
    let (_, got) = checksum(bytes, data_start)?;
    if expected != got {
        return Err(FormatError::Checksum { expected, got });
    }

    let tensors = std::mem::take(&mut header.tensors).into_iter().map(|(path, info)| {
        if info.dtype != DTYPE {
            return Err(FormatError::Dtype { path, expected: DTYPE, got: info.dtype });
        }
        let [from, to] = info.data_offsets;
        check_size(&path, &info.shape, to - from)?;
        let elements = bytes[data_start + from..data_start + to].as_chunks().0;
        let data = elements.iter().map(|&element| f32::from_le_bytes(element)).collect();
        Ok(CheckpointTensor { path, shape: info.shape, data })
    });
    Ok(Checkpoint {
        tensors: tensors.collect::<Result<_, _>>()?,
        spec: take(&mut header, "spec")?,
        metadata: take(&mut header, "metadata")?,
        step: number(&mut header, "step")?,
        seed: number(&mut header, "seed")?,
    })
}

/// Whether a shape and a size in bytes are of as many floats.
fn check_size(path: &str, shape: &[usize], bytes: usize) -> Result<(), FormatError> {
    let size = shape.iter().try_fold(size_of::<f32>(), |size, &extent| size.checked_mul(extent));
    if size == Some(bytes) {
        Ok(())
    } else {
        Err(FormatError::Shape { path: path.to_owned(), shape: shape.to_vec(), bytes })
    }
}

/// Where the digits of the checksum stand, and those that should stand there.
fn checksum(bytes: &[u8], data_start: usize) -> Result<(usize, String), FormatError> {
    let header = &bytes[..data_start];
    let at = header.windows(CHECKSUM_FIELD.len()).position(|field| field == CHECKSUM_FIELD);
    let at = at.ok_or(FormatError::MissingField { field: "checksum" })? + CHECKSUM_FIELD.len();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..at]);
    hasher.update(bytes.get(at + CHECKSUM_DIGITS..).unwrap_or_default());
    Ok((at, format!("{:08x}", hasher.finalize())))
}

/// The value of a metadata field.
fn take(header: &mut Header, field: &'static str) -> Result<String, FormatError> {
    header.metadata.remove(field).ok_or(FormatError::MissingField { field })
}

/// A metadata field that says one thing only.
fn expect(header: &mut Header, field: &'static str, expected: &str) -> Result<(), FormatError> {
    let got = take(header, field)?;
    if got == expected { Ok(()) } else { Err(FormatError::Field { field, expected: format!("'{expected}'"), got }) }
}

/// A metadata field that is a number.
fn number(header: &mut Header, field: &'static str) -> Result<u64, FormatError> {
    let got = take(header, field)?;
    got.parse().map_err(|_| FormatError::Field { field, expected: "a number of 64 bits".to_owned(), got })
}
