//! File formats: bytes in, bytes out, never paths.

#![forbid(unsafe_code)]
