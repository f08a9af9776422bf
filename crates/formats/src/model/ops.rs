//! Which ops a frozen network may have, each on its own.

use binary_nets_graph::ops::{Border, Input, Quantize, State, StateKind, Surrogate};
use binary_nets_graph::{Meaning, Op, ValueMeta, Window};

/// The most axes of a tensor.
const AXES: usize = 8;

/// The most taps of a window along an axis, pixels that it steps over, and pixels of padding.
const REACH: usize = 1 << 10;

/// The most pixels of an image along an axis.
const SIDE: usize = 1 << 14;

/// What is wrong with a number of axes.
pub fn axes(rank: usize) -> Option<String> {
    (rank > AXES).then(|| format!("{rank} axes, and {AXES} are allowed"))
}

/// What is wrong with an op, before anything is inferred from it.
pub fn objection(op: &Op) -> Option<String> {
    match op {
        Op::Input(Input { shape, meaning, .. }) => {
            let fits = shape.len() == 3 && shape.iter().all(|extent| (1..=SIDE).contains(extent));
            let pixels = *meaning == Meaning::Int { min: 0, max: 255 };
            (!fits || !pixels).then(|| format!("{} is no image", ValueMeta::new(*meaning, shape.clone())))
        }
        Op::State(state) => axes(state.shape.len()).or_else(|| state_objection(state)),
        Op::Fill(fill) => axes(fill.shape.len()),
        Op::Constant(constant) => axes(constant.shape.len()),
        Op::BroadcastTo(broadcast) => axes(broadcast.shape.len()),
        Op::Reshape(reshape) => axes(reshape.dims.len()),
        Op::Sign(sign) => gradient_objection(&sign.gradient),
        Op::Step(step) => gradient_objection(&step.gradient),
        Op::Conv2d(conv) => window_objection(&conv.window),
        Op::BinaryConv2d(conv) => window_objection(&conv.window),
        Op::TernaryConv2d(conv) => window_objection(&conv.window),
        Op::MaxPool2d(pool) => window_objection(&pool.window),
        Op::AvgPool2d(pool) => window_objection(&pool.window),
        Op::ImageConv2d(conv) => border_objection(&conv.border),
        Op::Quantize(quantize) => quantize_objection(quantize),
        Op::Affine(affine) => affine.border.as_ref().and_then(border_objection),
        Op::NormalizeImage(_)
        | Op::TernaryAffine(_)
        | Op::BatchNormInference(_)
        | Op::Relu(_)
        | Op::Prelu(_)
        | Op::Matmul(_)
        | Op::Arithmetic(_)
        | Op::Unary(_)
        | Op::Clamp(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::PadAxis(_)
        | Op::Concat(_)
        | Op::Repeat(_)
        | Op::Reduce(_)
        | Op::Dequantize(_)
        | Op::StopGradient(_) => None,
        Op::Scalar(_)
        | Op::Conv2dGradInput(_)
        | Op::Conv2dGradWeight(_)
        | Op::SurrogateGrad(_)
        | Op::QuantizeSlope(_)
        | Op::QuantizedSlopeGrad(_)
        | Op::BinarizeWeight(_)
        | Op::BinaryConv2dGradInput(_)
        | Op::BinaryConv2dGradWeight(_)
        | Op::TernarizeWeight(_)
        | Op::TernarizeWeightGrad(_)
        | Op::TernaryConv2dGradInput(_)
        | Op::BatchNorm(_)
        | Op::BatchNormFused(_)
        | Op::BatchNormGrad(_)
        | Op::UpdateStatistics(_)
        | Op::ApplyMask(_)
        | Op::IntervalMask(_)
        | Op::MaxPool2dIndex(_)
        | Op::MaxPool2dGrad(_)
        | Op::AvgPool2dGrad(_)
        | Op::Dropout(_)
        | Op::SoftmaxCrossEntropy(_)
        | Op::SoftmaxCrossEntropyGrad(_)
        | Op::CountCorrect(_)
        | Op::OneHot(_)
        | Op::Gather(_)
        | Op::Scatter(_)
        | Op::Finite(_)
        | Op::GlobalNorm(_)
        | Op::Sgd(_)
        | Op::Adam(_)
        | Op::Bop(_)
        | Op::Increment(_)
        | Op::Assign(_)
        | Op::Clear(_)
        | Op::MovingAverage(_)
        | Op::FoldAffine(_)
        | Op::FoldStem(_)
        | Op::RoundHalf(_)
        | Op::QuantizeWeight(_)
        | Op::Fused(_) => Some("no frozen network has such an op".to_owned()),
    }
}

fn state_objection(State { path: _, shape, kind, init: _, meaning }: &State) -> Option<String> {
    if *kind != StateKind::Constant {
        return Some("a state that is no constant".to_owned());
    }
    let known = match *meaning {
        Meaning::Bit { groups, .. } => groups > 0 && shape.channels() > 0 && shape.channels().is_multiple_of(groups),
        Meaning::Int { min, max } => i64::from(i16::MIN) <= min && min <= max && max <= i64::from(i16::MAX),
        Meaning::Index { .. } => false,
        Meaning::F32 => true,
    };
    (!known).then(|| format!("a constant {}", ValueMeta::new(*meaning, shape.clone())))
}

fn gradient_objection(gradient: &Surrogate) -> Option<String> {
    matches!(gradient, Surrogate::Custom(_)).then(|| "a gradient, which a frozen network has none of".to_owned())
}

fn quantize_objection(Quantize { stride, .. }: &Quantize) -> Option<String> {
    let most = stride.iter().max().filter(|&&most| most > REACH);
    most.map(|most| format!("a stride of {most} pixels, not {REACH} at most"))
}

fn window_objection(window: &Window) -> Option<String> {
    let Window { kernel, stride, padding, dilation } = window;
    let most = [kernel, stride, padding, dilation].into_iter().flatten().max();
    most.filter(|&&most| most > REACH)
        .map(|most| format!("a window that reaches over {most} pixels, not {REACH} at most"))
}

fn border_objection(border: &Border) -> Option<String> {
    let large = border.input.iter().any(|&side| side > SIDE);
    window_objection(&border.window).or_else(|| large.then(|| format!("an image of {:?} pixels", border.input)))
}
