//! CPU micro-kernels and packers; knows slices, not graphs.
//!
//! Every kernel is written once over the small vector traits of [`vector`], and each instruction set implements those traits in
//! its folder of `arch`. A token that only detection can build ([`Isa`]) proves the features, so no caller can pick a kernel
//! that this machine lacks. Kernels stand in static lists ([`binary_conv2d::KERNELS`], [`image_conv2d::KERNELS`],
//! [`gemm::KERNELS`], [`stack_lut::Lane::kernels`]): being listed makes a kernel selectable, tested and benchmarked.
//!
//! Nothing here allocates after construction, spawns a thread, or depends on how the caller splits the work.

#![deny(unsafe_code)]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "tables of nibbles and quads of bytes are for x86-64, where what nobody uses is found")
)]
#![allow(clippy::inline_always, reason = "vector code must be inlined into the function that has the features")]

mod arch;
pub mod binary_conv2d;
mod codes;
mod error;
pub mod gemm;
pub mod image_conv2d;
mod isa;
mod kernel_id;
pub mod naive;
mod quantize;
mod row;
pub mod stack_lut;
mod ternary_conv2d;
pub mod vector;

pub use binary_conv2d::{BinaryConv2d, Conv2dGeometry};
pub use codes::{pack_between, pack_codes, pack_inside, pack_weight_bits, pack_weights};
pub use error::KernelError;
pub use gemm::{Gemm, Matrix};
pub use image_conv2d::ImageConv2d;
pub use isa::{Isa, IsaError};
pub use kernel_id::KernelId;
pub use quantize::quantize;
pub use stack_lut::StackLut;
pub use ternary_conv2d::TernaryConv2d;
