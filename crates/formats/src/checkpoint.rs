//! What training saves and resumes from: a safetensors file, which `PyTorch` opens by the same keys.
//!
//! The model's spec, the host's own JSON, step and seed stand in the header's `__metadata__`, beside a CRC-32 of the whole file but its own eight
//! digits. Equal checkpoints are equal bytes.

use crate::header::Header;
use crate::safetensors::{F32, elements, write};
use crate::{FormatError, Tensor};

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
    pub tensors: Vec<Tensor>,
}

/// What the field `format` says.
const FORMAT: &str = "binary-nets";

/// What the field `version` says: the version that is written and read.
const VERSION: &str = "1";

/// What stands in front of the checksum. Quotes inside of JSON strings are escaped, so only the field itself looks like this.
const CHECKSUM_FIELD: &[u8] = b"\"checksum\":\"";

/// The digits of a checksum.
const CHECKSUM_DIGITS: usize = 8;

/// A checkpoint as the bytes of a file.
///
/// Refuses tensors whose data is not of the size of their shape, keys that occur twice and headers beyond what safetensors allows.
pub fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, FormatError> {
    let fields = [
        ("format", FORMAT.to_owned()),
        ("version", VERSION.to_owned()),
        ("spec", checkpoint.spec.clone()),
        ("metadata", checkpoint.metadata.clone()),
        ("step", checkpoint.step.to_string()),
        ("seed", checkpoint.seed.to_string()),
        ("checksum", "0".repeat(CHECKSUM_DIGITS)),
    ];
    let (mut bytes, data_start) = write(fields.map(|(field, value)| (field.to_owned(), value)), &checkpoint.tensors)?;
    let (at, sum) = checksum(&bytes, data_start)?;
    bytes[at..at + CHECKSUM_DIGITS].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// A checkpoint from the bytes of a file.
///
/// Refuses every file that [`encode`] did not write, byte for byte: cut off, corrupted, of another version, or foreign.
pub fn decode(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
    let (header, data_start) = Header::decode(bytes)?;
    read(bytes, header, data_start)
}

/// Whether a safetensors file says that [`encode`] wrote it.
pub(crate) fn recognises(header: &Header) -> bool {
    header.metadata.get("format").is_some_and(|format| format == FORMAT)
}

/// The checkpoint of a file whose header is read already.
pub(crate) fn read(bytes: &[u8], mut header: Header, data_start: usize) -> Result<Checkpoint, FormatError> {
    expect(&mut header, "format", FORMAT)?;
    expect(&mut header, "version", VERSION)?;
    let expected = take(&mut header, "checksum")?;
    let (_, got) = checksum(bytes, data_start)?;
    if expected != got {
        return Err(FormatError::Checksum { expected, got });
    }

    let tensors = std::mem::take(&mut header.tensors).into_iter().map(|(path, info)| {
        if info.dtype != F32 {
            return Err(FormatError::Dtype { path, expected: F32, got: info.dtype });
        }
        let [from, to] = info.data_offsets;
        elements(&path, &info.shape, size_of::<f32>(), to - from)?;
        let data = bytes[data_start + from..data_start + to].as_chunks().0;
        let data = data.iter().map(|&element| f32::from_le_bytes(element)).collect();
        Ok(Tensor { path, shape: info.shape, data })
    });
    Ok(Checkpoint {
        tensors: tensors.collect::<Result<_, _>>()?,
        spec: take(&mut header, "spec")?,
        metadata: take(&mut header, "metadata")?,
        step: number(&mut header, "step")?,
        seed: number(&mut header, "seed")?,
    })
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
