//! Every kernel and packer, on every instruction set that this machine has, against obvious oracles.

mod binary_conv2d;
mod codes;
mod gemm;
mod image_conv2d;
mod quantize;
mod random;
mod stack_lut;
mod ternary_conv2d;
