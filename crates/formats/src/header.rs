//! The header of a safetensors file: eight bytes of length, little-endian, then JSON, then the tensors' bytes without gaps.
//!
//! Written here and not by the crate `safetensors` because that one puts metadata in random order (equal checkpoints are to be equal bytes) and
//! does not say which tensor is to blame; the tests hold both against each other.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::FormatError;
use crate::packed::MAGIC;

/// The largest header that safetensors readers accept, in bytes.
const LIMIT: usize = 100_000_000;

/// The bytes of the length in front of the header.
const LENGTH: usize = size_of::<u64>();

/// The key that is no tensor's.
const METADATA: &str = "__metadata__";

/// The JSON of the header.
#[derive(PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "__metadata__", default, deserialize_with = "unique")]
    pub metadata: BTreeMap<String, String>,
    /// By key.
    #[serde(flatten, deserialize_with = "unique")]
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// Where a tensor lies.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub struct TensorInfo {
    /// `F32`, …
    pub dtype: String,
    pub shape: Vec<usize>,
    /// The first byte and the first byte behind it, counted from the end of the header.
    pub data_offsets: [usize; 2],
}

impl Header {
    /// Appends a tensor behind `data_bytes` bytes of others; the size of all.
    pub fn push(
        &mut self,
        path: &str,
        dtype: &str,
        shape: &[usize],
        bytes: usize,
        data_bytes: usize,
    ) -> Result<usize, FormatError> {
        let end = data_bytes + bytes;
        let info = TensorInfo { dtype: dtype.to_owned(), shape: shape.to_vec(), data_offsets: [data_bytes, end] };
        if path == METADATA || self.tensors.insert(path.to_owned(), info).is_some() {
            return Err(FormatError::Key { path: path.to_owned() });
        }
        Ok(end)
    }

    /// Length and JSON, padded with spaces so that the data starts at a multiple of eight bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let json =
            serde_json::to_vec(self).map_err(|e| FormatError::Header { offset: LENGTH, reason: e.to_string() })?;
        let length = json.len().next_multiple_of(LENGTH);
        if length > LIMIT {
            return Err(FormatError::HeaderLength { length: length as u64, limit: LIMIT as u64 });
        }
        let mut bytes = (length as u64).to_le_bytes().to_vec();
        bytes.extend(json);
        bytes.resize(LENGTH + length, b' ');
        Ok(bytes)
    }

    /// Whether a file begins as one of safetensors does: a length, and JSON.
    pub fn begins(bytes: &[u8]) -> bool {
        let Some((length, json)) = bytes.split_first_chunk::<LENGTH>() else { return false };
        u64::from_le_bytes(*length) <= LIMIT as u64 && json.starts_with(b"{\"")
    }

    /// Reads the header of a whole file; also where the data starts. The tensors then lie inside the file and
    /// follow each other without gaps to its end; whether their sizes are those of their shapes is left to whoever knows the element types.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), FormatError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
            return Err(FormatError::Truncated { expected: LENGTH, got: bytes.len() });
        };
        if *length == MAGIC {
            return Err(FormatError::OtherKind {
                found: "a packed network (.bnn), no checkpoint or file of weights (.safetensors)",
                advice: "it runs with `loadFrozen`, and cannot be trained",
            });
        }
        let length = u64::from_le_bytes(*length);
        if length > LIMIT as u64 {
            return Err(FormatError::HeaderLength { length, limit: LIMIT as u64 });
        }
        let start = LENGTH + length as usize;
        let Some(json) = rest.get(..length as usize) else {
            return Err(FormatError::Truncated { expected: start, got: bytes.len() });
        };
        let json = std::str::from_utf8(json)
            .map_err(|e| FormatError::Header { offset: LENGTH + e.valid_up_to(), reason: "not UTF-8".to_owned() })?;
        let header: Self = serde_json::from_str(json)
            .map_err(|e| FormatError::Header { offset: LENGTH + offset(json, &e), reason: e.to_string() })?;

        let mut tensors: Vec<_> = header.tensors.iter().collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let mut expected = 0;
        for (path, info) in tensors {
            let [from, to] = info.data_offsets;
            if from != expected || to < from {
                return Err(FormatError::Offset { path: path.clone(), expected, got: from });
            }
            expected = to;
        }
        let (expected, got) = (start.saturating_add(expected), bytes.len());
        match expected.cmp(&got) {
            std::cmp::Ordering::Less => Err(FormatError::Trailing { offset: expected, extra: got - expected }),
            std::cmp::Ordering::Equal => Ok((header, start)),
            std::cmp::Ordering::Greater => Err(FormatError::Truncated { expected, got }),
        }
    }
}

/// A map in which no key occurs twice; serde would keep the last one.
fn unique<'de, D: Deserializer<'de>, V: Deserialize<'de>>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error> {
    struct Unique<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, V>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("the key '{key}' occurs twice")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Unique(PhantomData))
}

/// The byte that a JSON error is about.
fn offset(json: &str, error: &serde_json::Error) -> usize {
    let lines = json.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    (lines + error.column().saturating_sub(1)).min(json.len())
}
