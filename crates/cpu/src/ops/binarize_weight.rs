//! Not there yet.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::BinarizeWeight;

use crate::{cpu::Cpu, io::Kernel};

pub fn prepare(_: &BinarizeWeight, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported {
        op: "binarize_weight",
        path: io.path.to_owned(),
        reason: "not written yet".to_owned(),
    })
}
