//! The closed set of ops and what each must know.

use serde::{Deserialize, Serialize};

use crate::summary::Macs;
use crate::{Graph, GraphError, Mismatch, Shape, Value, ValueMeta, ops};

/// What every op knows about itself. One op is one file in [`crate::ops`].
pub(crate) trait Operator {
    /// Meaning and shape of the outputs for inputs of these; `batch` is the number of samples.
    fn infer(&self, inputs: &[&ValueMeta], batch: usize) -> Result<Vec<ValueMeta>, Mismatch>;

    /// Emits into the forward half what [`Self::vjp`] will need, and the least of it: a mask, packed bits, an index.
    fn save(&self, _forward: &mut Forward, _inputs: &[Value], _outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        Ok(Vec::new())
    }

    /// Emits the vector-Jacobian product: from the gradients of the outputs those of the inputs, `None` where there is none.
    /// The default says that the op has no gradient.
    fn vjp(
        &self,
        b: &mut Backward,
        _saved: &[Value],
        _dys: &[Option<Value>],
    ) -> Result<Vec<Option<Value>>, GraphError> {
        Err(b.not_differentiable())
    }

    /// The positions of inputs that the op updates in place; they are state. Such ops run after all others.
    fn writes(&self) -> &'static [usize] {
        &[]
    }

    /// Multiply-adds for the summary.
    fn macs(&self, _inputs: &[&ValueMeta], _outputs: &[&ValueMeta]) -> Macs {
        Macs::default()
    }
}

macro_rules! ops {
    ($($variant:ident $name:literal,)*) => {
        /// An op with its attributes. The set is closed: a new op fails to compile in every place that must know it.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        pub enum Op { $(#[doc = concat!("See [`ops::", stringify!($variant), "`].")] #[serde(rename = $name)] $variant(ops::$variant),)* }

        $(impl From<ops::$variant> for Op { fn from(op: ops::$variant) -> Self { Self::$variant(op) } })*

        impl Op {
            /// The name in specs, dumps and messages.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            fn operator(&self) -> &dyn Operator {
                match self { $(Self::$variant(op) => op,)* }
            }
        }
    };
}

ops! {
    Input "input",
    Scalar "scalar",
    State "state",
    Fill "fill",
    Constant "constant",
    NormalizeImage "normalize_image",
    Conv2d "conv2d",
    Conv2dGradInput "conv2d_grad_input",
    Conv2dGradWeight "conv2d_grad_weight",
    Sign "sign",
    Step "step",
    SurrogateGrad "surrogate_grad",
    QuantizeSlope "quantize_slope",
    QuantizedSlopeGrad "quantized_slope_grad",
    BinarizeWeight "binarize_weight",
    BinaryConv2d "binary_conv2d",
    BinaryConv2dGradInput "binary_conv2d_grad_input",
    BinaryConv2dGradWeight "binary_conv2d_grad_weight",
    TernarizeWeight "ternarize_weight",
    TernarizeWeightGrad "ternarize_weight_grad",
    TernaryConv2d "ternary_conv2d",
    TernaryConv2dGradInput "ternary_conv2d_grad_input",
    BatchNorm "batch_norm",
    BatchNormFused "batch_norm_fused",
    BatchNormGrad "batch_norm_grad",
    BatchNormInference "batch_norm_inference",
    UpdateStatistics "update_statistics",
    Relu "relu",
    Prelu "prelu",
    ApplyMask "apply_mask",
    IntervalMask "interval_mask",
    MaxPool2d "max_pool2d",
    MaxPool2dIndex "max_pool2d_index",
    MaxPool2dGrad "max_pool2d_grad",
    AvgPool2d "avg_pool2d",
    AvgPool2dGrad "avg_pool2d_grad",
    Dropout "dropout",
    SoftmaxCrossEntropy "softmax_cross_entropy",
    SoftmaxCrossEntropyGrad "softmax_cross_entropy_grad",
    CountCorrect "count_correct",
    Matmul "matmul",
    Arithmetic "arithmetic",
    Unary "unary",
    Clamp "clamp",
    Compare "compare",
    Select "select",
    Transpose "transpose",
    Reshape "reshape",
    Slice "slice",
    PadAxis "pad_axis",
    Concat "concat",
    Repeat "repeat",
    BroadcastTo "broadcast_to",
    Reduce "reduce",
    OneHot "one_hot",
    Gather "gather",
    Scatter "scatter",
    StopGradient "stop_gradient",
    Finite "finite",
    GlobalNorm "global_norm",
    Sgd "sgd",
    Adam "adam",
    Bop "bop",
    Increment "increment",
    Assign "assign",
    Clear "clear",
    MovingAverage "moving_average",
    FoldAffine "fold_affine",
    Affine "affine",
    TernaryAffine "ternary_affine",
    FoldStem "fold_stem",
    ImageConv2d "image_conv2d",
    Quantize "quantize",
    RoundHalf "round_half",
    QuantizeWeight "quantize_weight",
    Dequantize "dequantize",
    Fused "fused",
}

impl Op {
    /// Meaning and shape of the outputs for inputs of these.
    pub fn infer(&self, inputs: &[&ValueMeta], batch: usize) -> Result<Vec<ValueMeta>, Mismatch> {
        self.operator().infer(inputs, batch)
    }

    /// The positions of inputs that the op updates in place.
    pub fn writes(&self) -> &'static [usize] {
        self.operator().writes()
    }

    /// Multiply-adds of one application.
    pub fn macs(&self, inputs: &[&ValueMeta], outputs: &[&ValueMeta]) -> Macs {
        self.operator().macs(inputs, outputs)
    }

    /// Whether the op reads nothing and stands for memory that is there before the first step.
    pub const fn is_leaf(&self) -> bool {
        matches!(self, Self::Input(_) | Self::Scalar(_) | Self::State(_))
    }

    pub(crate) fn save(&self, f: &mut Forward, inputs: &[Value], outputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.operator().save(f, inputs, outputs)
    }

    pub(crate) fn vjp(
        &self,
        b: &mut Backward,
        saved: &[Value],
        dys: &[Option<Value>],
    ) -> Result<Vec<Option<Value>>, GraphError> {
        self.operator().vjp(b, saved, dys)
    }
}

/// Where an op's `save` emits: the forward half.
pub struct Forward<'g> {
    pub(crate) graph: &'g mut Graph,
    pub(crate) path: &'g str,
}

impl Forward<'_> {
    pub(crate) fn emit(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value, GraphError> {
        self.graph.add_one(op, inputs, self.path)
    }

    /// Appends a node with several outputs.
    pub(crate) fn emit_all(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.graph.add(op, inputs, self.path)
    }
}

/// Where an op's `vjp` emits: the backward half.
pub struct Backward<'g> {
    pub(crate) graph: &'g mut Graph,
    pub(crate) path: &'g str,
    pub(crate) op: &'static str,
    pub(crate) inputs: &'g [Value],
    pub(crate) wanted: &'g [bool],
}

impl Backward<'_> {
    /// Appends a node with one output.
    pub(crate) fn emit(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value, GraphError> {
        self.graph.add_one(op, inputs, self.path)
    }

    /// Appends a node with several outputs.
    pub(crate) fn emit_all(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.graph.add(op, inputs, self.path)
    }

    /// A number as a value.
    pub(crate) fn number(&mut self, value: f32) -> Result<Value, GraphError> {
        self.emit(ops::Fill { value, shape: Shape::default() }, &[])
    }

    /// Whether anybody wants the gradient of input `i` of the forward node.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.wanted[i]
    }

    /// Meaning and shape of input `i` of the forward node.
    pub(crate) fn input(&self, i: usize) -> &ValueMeta {
        self.graph.meta(self.inputs[i])
    }

    pub(crate) fn not_differentiable(&self) -> GraphError {
        GraphError::NotDifferentiable { op: self.op, path: self.path.to_owned() }
    }
}
