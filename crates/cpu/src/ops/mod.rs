//! One file per op: how the CPU runs it.

mod binarize_weight;
mod binary_conv2d;
mod conv2d;
mod fill;
mod matmul;
mod patch_product;
mod patch_weight_gradient;
mod patches;
mod stem;

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::Op;

use crate::{
    cpu::Cpu,
    io::{Io, Kernel},
};

/// Chooses the kernel of a node.
pub fn prepare(op: &Op, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    match op {
        Op::Conv2d(op) => conv2d::prepare(op, io, cpu),
        Op::Conv2dGradInput(op) => conv2d::prepare_grad_input(op, io, cpu),
        Op::Conv2dGradWeight(op) => conv2d::prepare_grad_weight(op, io, cpu),
        Op::BinarizeWeight(op) => binarize_weight::prepare(op, io, cpu),
        Op::BinaryConv2d(op) => binary_conv2d::prepare(op, io, cpu),
        Op::BinaryConv2dGradInput(op) => binary_conv2d::prepare_grad_input(op, io, cpu),
        Op::BinaryConv2dGradWeight(op) => binary_conv2d::prepare_grad_weight(op, io, cpu),
        Op::Matmul(op) => matmul::prepare(op, io, cpu),
        Op::FoldStem(op) => stem::prepare_fold(op, io, cpu),
        Op::ImageConv2d(op) => stem::prepare_image_conv2d(op, io, cpu),
        Op::Fill(op) => Ok(fill::prepare(op, cpu)),
        op => Err(ExecError::Unsupported {
            op: op.name(),
            path: io.path.to_owned(),
            reason: "not written yet".to_owned(),
        }),
    }
}

/// A kernel without scratch memory or prologue.
fn plain(name: &'static str, kernel: impl Fn(&Io<'_>) + Send + Sync + 'static) -> Prepared<Kernel> {
    Prepared { kernel: Box::new(kernel), name, scratch: 0, prologue: None }
}
