//! One file per op: how the CPU runs it.

#![allow(clippy::unnecessary_wraps, reason = "the convolutions share one signature, and some can be refused")]

mod adam;
mod affine;
mod arithmetic;
mod assign;
mod batch_norm;
mod binarize_weight;
mod binary_conv2d;
mod binary_grad_input;
mod binary_grad_weight;
mod bit_patches;
mod blocks;
mod bop;
mod clamp;
mod clear;
mod compare;
mod concat;
mod constant;
mod conv2d;
mod dropout;
mod elementwise;
mod fill;
mod finite;
mod fused;
mod gather;
mod global_norm;
mod gradient_lines;
mod gradient_parts;
mod increment;
mod laid;
mod magnitudes;
mod mask;
mod matmul;
mod moving_average;
mod normalize_image;
mod one_hot;
mod packed;
mod partial_sums;
mod patch_product;
mod patch_weight_gradient;
mod patches;
mod pieces;
mod pool2d;
mod prelu;
mod quantize;
mod reduce;
mod relu;
mod repeat;
mod reshape;
mod round_weight;
mod sgd;
mod sign;
mod slice;
mod softmax_cross_entropy;
mod stacked_grad_input;
mod stacked_grad_weight;
mod stem;
mod stretch;
mod surrogate;
mod ternarize_weight;
mod ternary_conv2d;
mod transpose;
mod unary;

use binary_nets_bits::Codes;
use binary_nets_exec::{ExecError, InPlace, IoMeta, Prepared};
use binary_nets_graph::Op;

use crate::io::{Io, Kernel};
use crate::target::Target;

/// Chooses the kernel of a node.
pub fn prepare(op: &Op, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    Ok(match op {
        Op::Input(_) | Op::Scalar(_) | Op::State(_) => {
            return Err(ExecError::Plan(format!("{} at '{}' is memory, and nothing to run", op.name(), io.path)));
        }
        Op::Fill(op) => fill::prepare(op, target),
        Op::Constant(op) => constant::prepare(op),
        Op::NormalizeImage(op) => normalize_image::prepare(op),
        Op::Conv2d(op) => conv2d::prepare(op, io, target)?,
        Op::Conv2dGradInput(op) => conv2d::prepare_grad_input(op, io, target)?,
        Op::Conv2dGradWeight(op) => conv2d::prepare_grad_weight(op, io, target)?,
        Op::Sign(_) => sign::prepare(Codes::Sign, io, target),
        Op::Step(_) => sign::prepare(Codes::Step, io, target),
        Op::SurrogateGrad(op) => surrogate::prepare(op, target),
        Op::QuantizeSlope(op) => surrogate::prepare_quantize(op, target),
        Op::QuantizedSlopeGrad(op) => surrogate::prepare_quantized(op, target),
        Op::BinarizeWeight(op) => binarize_weight::prepare(op, io, target)?,
        Op::BinaryConv2d(op) => binary_conv2d::prepare(op, io, target)?,
        Op::BinaryConv2dGradInput(op) => binary_conv2d::prepare_grad_input(op, io, target)?,
        Op::BinaryConv2dGradWeight(op) => binary_conv2d::prepare_grad_weight(op, io, target)?,
        Op::TernarizeWeight(op) => ternarize_weight::prepare(op, io, target),
        Op::TernarizeWeightGrad(op) => ternarize_weight::prepare_grad(op, io, target),
        Op::TernaryConv2d(op) => ternary_conv2d::prepare(op, io, target)?,
        Op::TernaryConv2dGradInput(op) => ternary_conv2d::prepare_grad_input(op, io, target)?,
        Op::BatchNorm(op) => batch_norm::prepare(op, io, target),
        Op::BatchNormFused(op) => batch_norm::prepare_fused(op, io, target),
        Op::BatchNormGrad(op) => batch_norm::prepare_grad(op, io, target),
        Op::BatchNormInference(op) => batch_norm::prepare_inference(op, io, target),
        Op::UpdateStatistics(op) => batch_norm::prepare_update(op),
        Op::Relu(_) => relu::prepare(target),
        Op::Prelu(_) => prelu::prepare(io, target),
        Op::ApplyMask(op) => mask::prepare_apply(op, io, target),
        Op::IntervalMask(op) => mask::prepare_interval(op, io, target),
        Op::MaxPool2d(op) => pool2d::prepare_max(op.window, io, target),
        Op::MaxPool2dIndex(op) => pool2d::prepare_max_index(op.window, io, target),
        Op::MaxPool2dGrad(op) => pool2d::prepare_max_grad(op.window, io, target),
        Op::AvgPool2d(op) => pool2d::prepare_avg(op.window, io, target),
        Op::AvgPool2dGrad(op) => pool2d::prepare_avg_grad(op.window, io, target),
        Op::Dropout(op) => dropout::prepare(op, io, target),
        Op::SoftmaxCrossEntropy(op) => softmax_cross_entropy::prepare(op, io),
        Op::SoftmaxCrossEntropyGrad(op) => softmax_cross_entropy::prepare_grad(op, io),
        Op::CountCorrect(op) => softmax_cross_entropy::prepare_count(op, io),
        Op::Matmul(op) => matmul::prepare(op, io, target)?,
        Op::Arithmetic(op) => arithmetic::prepare(op, io, target),
        Op::Unary(op) => unary::prepare(op, target),
        Op::Clamp(op) => clamp::prepare(op, target),
        Op::Compare(op) => compare::prepare(op, io, target),
        Op::Select(_) => compare::prepare_select(io, target),
        Op::Transpose(op) => transpose::prepare(op, io, target),
        Op::Reshape(_) | Op::StopGradient(_) => reshape::prepare(),
        Op::Slice(op) => slice::prepare(op, io),
        Op::PadAxis(op) => slice::prepare_pad(op, io),
        Op::Concat(op) => concat::prepare(op, io),
        Op::Repeat(op) => repeat::prepare(op, io),
        Op::BroadcastTo(_) => repeat::prepare_broadcast(io, target),
        Op::Reduce(op) => reduce::prepare(op, io, target),
        Op::OneHot(_) => one_hot::prepare(io),
        Op::Gather(op) => gather::prepare(op, io),
        Op::Scatter(op) => gather::prepare_scatter(op, io),
        Op::Finite(_) => finite::prepare(io, target),
        Op::GlobalNorm(_) => global_norm::prepare(io, target),
        Op::Sgd(op) => sgd::prepare(op, target),
        Op::Adam(op) => adam::prepare(op, target),
        Op::Bop(op) => bop::prepare(op, target),
        Op::Increment(_) => increment::prepare(),
        Op::Assign(_) => assign::prepare(),
        Op::Clear(_) => clear::prepare(),
        Op::MovingAverage(op) => moving_average::prepare(op, target),
        Op::FoldAffine(op) => affine::prepare_fold(op),
        Op::Affine(op) => affine::prepare(op, io, target)?,
        Op::TernaryAffine(_) => affine::prepare_ternary(io, target)?,
        Op::FoldStem(op) => stem::prepare_fold(op, io, target)?,
        Op::ImageConv2d(op) => stem::prepare_image_conv2d(op, io, target)?,
        Op::Quantize(op) => quantize::prepare(op, io, target),
        Op::RoundHalf(_) => round_weight::prepare_half(),
        Op::QuantizeWeight(op) => round_weight::prepare_quantize(op, io),
        Op::Dequantize(op) => round_weight::prepare_dequantize(op, io),
        Op::Fused(op) => fused::prepare(op, io, target)?,
    })
}

/// A kernel whose first output may replace one of those inputs.
fn in_place(inputs: &[usize], kernel: Prepared<Kernel>) -> Prepared<Kernel> {
    Prepared { in_place: Some(InPlace { inputs: inputs.to_vec(), output: 0 }), ..kernel }
}

/// A kernel without scratch memory or prologue.
fn plain(name: &'static str, kernel: impl Fn(&Io<'_>) + Send + Sync + 'static) -> Prepared<Kernel> {
    Prepared { kernel: Box::new(kernel), name, scratch: 0, prologue: None, in_place: None }
}
