//! Not there yet.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::{BinaryConv2d, BinaryConv2dGradInput, BinaryConv2dGradWeight};

use crate::{cpu::Cpu, io::Kernel};

pub fn prepare(_: &BinaryConv2d, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "binary_conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}

pub fn prepare_grad_input(_: &BinaryConv2dGradInput, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "binary_conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}

pub fn prepare_grad_weight(_: &BinaryConv2dGradWeight, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "binary_conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}
