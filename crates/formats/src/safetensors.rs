//! Tensors of any safetensors file.

use crate::dtype::{Dtype, KNOWN};
use crate::header::Header;
use crate::{FormatError, Tensor};

/// The type of every tensor that is written.
pub(crate) const F32: &str = "F32";

/// The tensors of a file, sorted by key, as f32.
pub fn decode(bytes: &[u8]) -> Result<Vec<Tensor>, FormatError> {
    let (header, start) = Header::decode(bytes)?;
    read(bytes, header, start)
}

/// The tensors of a file whose header is read already, and ends at `start`.
pub(crate) fn read(bytes: &[u8], header: Header, start: usize) -> Result<Vec<Tensor>, FormatError> {
    let tensors = header.tensors.into_iter().map(|(path, info)| {
        let Some(dtype) = Dtype::from_safetensors(&info.dtype) else {
            return Err(FormatError::Dtype { path, expected: KNOWN, got: info.dtype });
        };
        let [from, to] = info.data_offsets;
        let elements = elements(&path, &info.shape, dtype.size(), to - from)?;
        let bytes = &bytes[start + from..start + to];
        let data = (0..elements).map(|i| dtype.element(bytes, i)).collect();
        Ok(Tensor { path, shape: info.shape, data })
    });
    tensors.collect()
}

/// A file of f32 tensors that every reader of safetensors takes. Equal tensors are equal bytes.
///
/// Refuses tensors whose data is not of the size of their shape, and keys that occur twice.
pub fn encode(tensors: &[Tensor]) -> Result<Vec<u8>, FormatError> {
    // What Python's libraries ask for before they open a file.
    let metadata = [("format".to_owned(), "pt".to_owned())];
    Ok(write(metadata, tensors)?.0)
}

/// A file of metadata and tensors; also where the data starts.
pub(crate) fn write(
    metadata: impl IntoIterator<Item = (String, String)>,
    tensors: &[Tensor],
) -> Result<(Vec<u8>, usize), FormatError> {
    let mut tensors: Vec<&Tensor> = tensors.iter().collect();
    tensors.sort_by_key(|t| &t.path);
    let mut header = Header::default();
    header.metadata.extend(metadata);
    let mut data_bytes = 0;
    for tensor in &tensors {
        let bytes = size_of_val(&tensor.data[..]);
        elements(&tensor.path, &tensor.shape, size_of::<f32>(), bytes)?;
        data_bytes = header.push(&tensor.path, F32, &tensor.shape, bytes, data_bytes)?;
    }
    let mut bytes = header.encode()?;
    let start = bytes.len();
    bytes.reserve_exact(data_bytes);
    for tensor in tensors {
        bytes.extend(tensor.data.iter().flat_map(|x| x.to_le_bytes()));
    }
    Ok((bytes, start))
}

/// How many elements a shape has, if they take just that many bytes.
pub(crate) fn elements(path: &str, shape: &[usize], element: usize, bytes: usize) -> Result<usize, FormatError> {
    if shape.iter().try_fold(element, |size, &extent| size.checked_mul(extent)) == Some(bytes) {
        Ok(bytes / element)
    } else {
        Err(FormatError::Shape { path: path.to_owned(), shape: shape.to_vec(), bytes })
    }
}
