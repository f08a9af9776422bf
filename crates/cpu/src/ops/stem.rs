//! Not there yet.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::{FoldStem, ImageConv2d};

use crate::{cpu::Cpu, io::Kernel};

pub fn prepare_fold(_: &FoldStem, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "stem", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}

pub fn prepare_image_conv2d(_: &ImageConv2d, io: &IoMeta, _: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    Err(ExecError::Unsupported { op: "stem", path: io.path.to_owned(), reason: "not written yet".to_owned() })
}
