//! The float convolution and its gradients, as products with patches that are gathered block by block.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ValueMeta;
use binary_nets_graph::ops::{Conv2d, Conv2dGradInput, Conv2dGradWeight};

use super::patch_product::{PatchProduct, Weights};
use super::patch_weight_gradient::PatchWeightGradient;
use super::patches::Images;
use crate::{cpu::Cpu, io::Kernel};

pub fn prepare(op: &Conv2d, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    let (x, w, y) = (extents(io.inputs[0]), extents(io.inputs[1]), extents(io.outputs[0]));
    let product = PatchProduct::forward(&op.window, op.groups, x, y, cpu.isa());
    let (source, target) = (op.window.taps(), op.window.taps() * w[1]);
    let steps = [target * (w[0] / op.groups), source, target];
    let constant = io.constant[1];
    Ok(product.prepare(
        cpu,
        constant,
        |io| Images::Floats(io.input(0)),
        move |io| Weights::Floats { w: io.input(1), steps },
    ))
}

pub fn prepare_grad_input(op: &Conv2dGradInput, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    let (dy, w, dx) = (extents(io.inputs[0]), extents(io.inputs[1]), extents(io.outputs[0]));
    let product = PatchProduct::grad_input(&op.window, op.groups, dy, dx, cpu.isa());
    let (target, source) = (op.window.taps(), op.window.taps() * w[1]);
    let steps = [source * (w[0] / op.groups), source, target];
    let constant = io.constant[1];
    Ok(product.prepare(
        cpu,
        constant,
        |io| Images::Floats(io.input(0)),
        move |io| Weights::Floats { w: io.input(1), steps },
    ))
}

pub fn prepare_grad_weight(op: &Conv2dGradWeight, io: &IoMeta, cpu: &Cpu) -> Result<Prepared<Kernel>, ExecError> {
    let (x, dy) = (extents(io.inputs[0]), extents(io.inputs[1]));
    let gradient = PatchWeightGradient::new(&op.window, op.groups, x, dy, cpu.isa());
    Ok(gradient.prepare(cpu, |io| Images::Floats(io.input(0))))
}

/// The extents of a feature map or of weights.
pub(super) fn extents(meta: &ValueMeta) -> [usize; 4] {
    <[usize; 4]>::try_from(&meta.shape[..]).expect("the op's shape rule asks for rank 4")
}
