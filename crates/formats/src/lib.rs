//! File formats: bytes in, bytes out, never paths.
//!
//! [`checkpoint`] is what training saves and resumes from; [`packed`] is a frozen network, a [`model`], that ships, [`onnx`] the same for other runtimes, and from them; [`weights`] reads what others have trained, from [`safetensors`] and [`pytorch`]. Whatever the bytes are, a decoder answers with a value or a [`FormatError`] that
//! names the culprit; it allocates no more than a small multiple of what it was given.

#![forbid(unsafe_code)]

mod budget;
pub mod checkpoint;
mod dtype;
mod error;
mod header;
pub mod model;
pub mod onnx;
pub mod packed;
pub mod pytorch;
pub mod safetensors;
mod tensor;
pub mod weights;
mod zip;

pub use error::FormatError;
pub use tensor::Tensor;
