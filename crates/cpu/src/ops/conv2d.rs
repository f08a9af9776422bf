//! Not there yet.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::{Conv2d, Conv2dGradInput, Conv2dGradWeight};

use crate::{cpu::Cpu, io::Kernel};

pub fn prepare(_: &Conv2d, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}

pub fn prepare_grad_input(_: &Conv2dGradInput, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}

pub fn prepare_grad_weight(_: &Conv2dGradWeight, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "conv2d", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}
