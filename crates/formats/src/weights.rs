//! Weights of any kind of file, which its contents tell.

use crate::header::Header;
use crate::zip::Archive;
use crate::{FormatError, Tensor, checkpoint, pytorch, safetensors};

/// The tensors of a safetensors file, a checkpoint of this library or a file of `torch.save`, sorted by key.
pub fn decode(bytes: &[u8]) -> Result<Vec<Tensor>, FormatError> {
    if Archive::recognises(bytes) {
        return pytorch::decode(bytes);
    }
    if pytorch::is_legacy(bytes) {
        return Err(FormatError::Legacy);
    }
    // The JSON of a safetensors file starts behind the eight bytes of its length.
    if bytes.get(8) != Some(&b'{') {
        return Err(FormatError::Unknown);
    }
    let (header, start) = Header::decode(bytes)?;
    if checkpoint::recognises(&header) {
        Ok(checkpoint::read(bytes, header, start)?.tensors)
    } else {
        safetensors::read(bytes, header, start)
    }
}
