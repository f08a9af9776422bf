//! A slow, obvious f64 reference and every op's tests, run by each backend.

#![forbid(unsafe_code)]
