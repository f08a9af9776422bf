//! One folder per instruction set, with the same files in each: the token, its `Floats` and its `Words`.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod scalar;
