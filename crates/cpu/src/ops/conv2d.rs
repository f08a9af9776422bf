//! The float convolution and its gradients, as products with patches that are gathered block by block.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ValueMeta;
use binary_nets_graph::ops::{Conv2d, Conv2dGradInput, Conv2dGradWeight};

use super::laid::consumed;
use super::patch_product::{PatchProduct, Weights};
use super::patch_weight_gradient::PatchWeightGradient;
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Conv2d, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let (x, w, y) = (extents(io.inputs[0]), extents(io.inputs[1]), extents(io.outputs[0]));
    let product = PatchProduct::forward(&op.window, op.groups, x, y, target.isa);
    let (input, output) = (op.window.taps(), op.window.taps() * w[1]);
    Ok(prepare_product(product, [output * (w[0] / op.groups), input, output], io, target))
}

pub fn prepare_grad_input(op: &Conv2dGradInput, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let (dy, w, dx) = (extents(io.inputs[0]), extents(io.inputs[1]), extents(io.outputs[0]));
    let product = PatchProduct::grad_input(&op.window, op.groups, dy, dx, target.isa);
    let (input, output) = (op.window.taps(), op.window.taps() * w[1]);
    Ok(prepare_product(product, [output * (w[0] / op.groups), output, input], io, target))
}

/// A product of float images with float weights, which lie in `steps` of group, source channel and target channel.
fn prepare_product(product: PatchProduct, steps: [usize; 3], io: &IoMeta, target: Target) -> Prepared<Kernel> {
    product.prepare(target, consumed(io, &[1]), move |io| Weights { w: io.input(1), steps })
}

pub fn prepare_grad_weight(op: &Conv2dGradWeight, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let (x, dy) = (extents(io.inputs[0]), extents(io.inputs[1]));
    let gradient = PatchWeightGradient::new(&op.window, op.groups, x, dy, target.isa);
    Ok(gradient.prepare(target))
}

/// The extents of a feature map or of weights.
pub(super) fn extents(meta: &ValueMeta) -> [usize; 4] {
    <[usize; 4]>::try_from(&meta.shape[..]).expect("the op's shape rule asks for rank 4")
}
