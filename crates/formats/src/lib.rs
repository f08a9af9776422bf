//! File formats: bytes in, bytes out, never paths.
//!
//! [`checkpoint`] is what training saves and resumes from. Whatever the bytes are, a decoder answers with a value or a [`FormatError`] that
//! names the culprit; it allocates no more than a small multiple of what it was given.

#![forbid(unsafe_code)]

pub mod checkpoint;
mod error;
mod header;

pub use error::FormatError;
