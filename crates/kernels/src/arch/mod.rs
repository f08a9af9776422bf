//! One folder per instruction set, with a file for each vector trait that it has kernels for.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;
