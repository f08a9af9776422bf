//! Not there yet.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::Matmul;

use crate::{cpu::Cpu, io::Kernel};

pub fn prepare(_: &Matmul, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "matmul", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}
