//! Convolutions and matrix products, of bits where codes meet weights of one bit.

use binary_nets_graph::ops::{
    Arithmetic, BatchNormInference, BinarizeWeight, BinaryConv2d, Conv2d, Matmul, NegativeGradient, PadAxis, Reshape,
    StateKind, TernarizeWeight, TernaryConv2d, WeightGradient, WeightScale,
};
use binary_nets_graph::{Value, Window};

use super::Importer;
use super::constant::Constant;
use super::node::{Node, Result};
use super::term::{CodeKind, Codes, Map, Padded, Term};
use super::weights::Weights;
use super::windows::{Pads, around, symmetric, window};
use crate::onnx::axes::{channels_first, permuted};

const NO_EXTENT: &str = "its weights are of no extent";

/// Weights `[o, c, kh, kw]` of a convolution and how they slide.
struct Kernel {
    weights: Vec<f32>,
    shape: [usize; 4],
    groups: usize,
    window: Window,
}

impl Kernel {
    /// Longer by taps of 0 where there is more padding on one side, so that there is as much on both: a tap of 0 sees what it likes.
    fn evened(mut self, mut pads: Pads) -> Result<Self> {
        for (axis, pads) in pads.iter_mut().enumerate() {
            let [before, after] = *pads;
            let more = before.abs_diff(after);
            if more == 0 {
                continue;
            }
            let dilation = self.window.dilation[axis];
            if more % dilation != 0 || more / dilation > self.shape[2 + axis] {
                return Err("its padding is not the same on both sides".into());
            }
            self.lengthen(axis, more / dilation, after > before);
            *pads = [before.max(after); 2];
        }
        self.window.padding = [pads[0][0], pads[1][0]];
        Ok(self)
    }

    fn lengthen(&mut self, axis: usize, taps: usize, in_front: bool) {
        let [o, c, kh, kw] = self.shape;
        let (outer, extent, inner) = if axis == 0 { (o * c, kh, kw) } else { (o * c * kh, kw, 1) };
        let mut longer = Vec::with_capacity(outer * (extent + taps) * inner);
        for row in self.weights.chunks(extent * inner) {
            let zeroes = std::iter::repeat_n(0.0, taps * inner);
            if in_front {
                longer.extend(zeroes);
                longer.extend_from_slice(row);
            } else {
                longer.extend_from_slice(row);
                longer.extend(zeroes);
            }
        }
        self.weights = longer;
        self.shape[2 + axis] = extent + taps;
        self.window.kernel[axis] = extent + taps;
    }
}

fn constant(term: Option<&Option<Term>>) -> Result<Option<&Constant>> {
    match term {
        Some(Some(Term::Constant(constant))) => Ok(Some(constant)),
        Some(Some(_)) => Err("its weights depend on the input".into()),
        Some(None) | None => Ok(None),
    }
}

impl Importer {
    /// A convolution.
    pub fn conv(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        let x = inputs[0].as_ref().ok_or("its first input is missing")?;
        let w = constant(inputs.get(1))?.ok_or("it has no weights")?;
        let bias = constant(inputs.get(2))?.map(Constant::floats);
        let &[o, c, kh, kw] = &w.shape[..] else {
            return Err(format!("only convolutions of images are read, not weights of rank {}", w.shape.len()).into());
        };
        if w.data.len() == 0 {
            return Err(NO_EXTENT.into());
        }
        let &[_, _, height, width] = &self.extents(x)[..] else { return Err("it does not read maps of rank 4".into()) };
        let groups = usize::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or("its group should be 1 or more")?;
        let (window, pads) = window(node, [kh, kw], [height, width])?;
        self.budget.spend(&self.path, w.data.len().saturating_mul(size_of::<f32>()))?;
        let kernel = Kernel { weights: w.floats(), shape: [o, c, kh, kw], groups, window };

        let (x, pads, outside) = match x {
            Term::Padded(padded) => {
                let outer = around(padded)?;
                if padded.value != 0.0 && pads != Pads::default() {
                    return Err(format!("it puts zeroes around what has {} around it", padded.value).into());
                }
                let sum = [0, 1].map(|axis| [0, 1].map(|side| outer[axis][side] + pads[axis][side]));
                (&padded.inner, sum, padded.value)
            }
            x => (x, pads, 0.0),
        };
        let codes = match x {
            Term::Codes(codes) => Some(codes.clone()),
            Term::Signum { source, shift: 0.0 } => Some(self.signum_codes(source)?),
            _ => None,
        };
        let value = match codes.as_ref().and_then(|codes| Some((codes, codes.kind()?))) {
            Some((codes, kind)) => self.code_conv(kernel, codes, &kind, pads, outside)?,
            None => self.float_conv(kernel, x, pads, outside)?,
        };
        let value = match bias {
            Some(bias) => self.shift(value, bias)?,
            None => value,
        };
        Ok(Map { value, order: channels_first(4) })
    }

    fn float_conv(&mut self, kernel: Kernel, x: &Term, pads: Pads, outside: f32) -> Result<Value> {
        if outside != 0.0 {
            return Err(format!("numbers of {outside} are put around what is no code").into());
        }
        let map = self.map(x)?;
        let x = self.channels_last(&map)?;
        let Kernel { weights, shape, groups, window } = kernel.evened(pads)?;
        let w = self.state("weight", StateKind::Parameter, &shape, weights)?;
        self.emit(Conv2d { window, groups }, &[x, w])
    }

    /// A convolution of codes: of bits where its weights are of one bit or ternary, else of the floats that they stand for.
    fn code_conv(
        &mut self,
        mut kernel: Kernel,
        codes: &Codes,
        kind: &CodeKind,
        pads: Pads,
        outside: f32,
    ) -> Result<Value> {
        if let Weights::Float(weights) = Weights::new(kernel.weights.clone(), kernel.shape[0]) {
            kernel.weights = weights;
            return self.float_conv(kernel, &Term::Codes(codes.clone()), pads, outside);
        }
        let mut source = codes.source.clone();
        let is_padded = pads != Pads::default();
        let pad_value = match outside / kind.scale {
            0.0 => 0,
            1.0 if is_padded => 1,
            _ => {
                return Err(format!("codes of ±{} cannot have {outside} around them, only 0 or {0}", kind.scale).into());
            }
        };
        let kernel = match symmetric(pads) {
            Some(padding) => {
                kernel.window.padding = padding;
                kernel
            }
            // Zeroes around what is binarised: their code is the one that is asked for.
            None if (pad_value == 1) != kind.is_step => {
                let value = self.channels_last(&source)?;
                let value = self.pad_image(value, pads)?;
                source = Map { value, order: channels_first(4) };
                kernel
            }
            None if pad_value == 0 => kernel.evened(pads)?,
            None => return Err("its padding is not the same on both sides".into()),
        };
        let bits = self.bits(&source, kind, kernel.groups)?;
        self.bit_product(bits, kernel, kind.scale, pad_value)
    }

    fn pad_image(&mut self, mut x: Value, pads: Pads) -> Result<Value> {
        for (axis, [before, after]) in pads.into_iter().enumerate().filter(|(_, pads)| *pads != [0, 0]) {
            x = self.emit(PadAxis { axis: axis + 1, before, after }, &[x])?;
        }
        Ok(x)
    }

    /// Bits times weights of one bit or two, times the codes' scale.
    fn bit_product(&mut self, bits: Value, kernel: Kernel, scale: f32, pad_value: u8) -> Result<Value> {
        let Kernel { weights, shape, groups, window } = kernel;
        match Weights::new(weights, shape[0]) {
            Weights::Binary { signs, scale: alpha } => {
                let w = self.state("weight", StateKind::Latent, &shape, signs)?;
                let binarize = BinarizeWeight { scale: WeightScale::None, gradient: WeightGradient::Identity, groups };
                let w = self.graph.add(binarize, &[w], &self.path)?;
                let alpha: Vec<f32> = alpha.iter().map(|alpha| alpha * scale).collect();
                let alpha = if alpha == [1.0] {
                    w[1]
                } else {
                    self.state("alpha", StateKind::Parameter, &[alpha.len()], alpha)?
                };
                self.emit(BinaryConv2d { window, pad_value }, &[bits, w[0], alpha])
            }
            Weights::Ternary { signs, positive, negative } => {
                let w = self.state("weight", StateKind::Latent, &shape, signs)?;
                let positive = self.state("positive_scale", StateKind::Parameter, &[1], vec![positive])?;
                let negative = self.state("negative_scale", StateKind::Parameter, &[1], vec![negative])?;
                let ternarize = TernarizeWeight { threshold: 0.5, negative_gradient: NegativeGradient::Exact };
                let planes = self.graph.add(ternarize, &[w, positive, negative], &self.path)?;
                let inputs = [bits, planes[0], planes[1], positive, negative];
                let y = self.emit(TernaryConv2d { window, pad_value }, &inputs)?;
                if scale == 1.0 {
                    return Ok(y);
                }
                let scale = self.state("scale", StateKind::Parameter, &[], vec![scale])?;
                self.emit(Arithmetic::MUL, &[y, scale])
            }
            Weights::Float(_) => Err("its weights are neither of one bit nor ternary".into()),
        }
    }

    /// One number more for each channel, as a norm that does nothing else: freezing folds norms, and keeps other sums apart.
    pub fn shift(&mut self, x: Value, bias: Vec<f32>) -> Result<Value> {
        let c = self.graph.meta(x).shape.channels();
        let bias = if bias.len() == 1 { vec![bias[0]; c] } else { bias };
        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
        let n = bias.len();
        let gamma = self.state("gamma", StateKind::Parameter, &[c], one.clone())?;
        let beta = self.state("bias", StateKind::Parameter, &[n], bias)?;
        let mean = self.state("mean", StateKind::Parameter, &[c], zero)?;
        let var = self.state("variance", StateKind::Parameter, &[c], one)?;
        self.emit(BatchNormInference { eps: 0.0 }, &[x, gamma, beta, mean, var])
    }

    /// `alpha·A·B + beta·C`
    pub fn gemm(&mut self, node: &Node, inputs: &[Option<Term>]) -> Result<Map> {
        if node.int("transA", 0) != 0 {
            return Err("its first matrix is turned round".into());
        }
        let alpha = node.float("alpha", 1.0);
        let y = self.product(inputs, node.int("transB", 0) != 0, alpha)?;
        let Some(bias) = constant(inputs.get(2))? else { return Ok(y) };
        let beta = node.float("beta", 1.0);
        let n = self.graph.meta(y.value).shape.channels();
        let is_row = bias.shape.last().is_none_or(|&extent| extent == bias.data.len());
        if !is_row || (bias.data.len() != 1 && bias.data.len() != n) {
            return Err(format!("its bias should be {n} numbers for every image, not {:?}", bias.shape).into());
        }
        let bias: Vec<f32> = bias.floats().iter().map(|bias| bias * beta).collect();
        let bias = self.state("bias", StateKind::Parameter, &[bias.len()], bias)?;
        Ok(Map { value: self.emit(Arithmetic::ADD, &[y.value, bias])?, order: vec![0, 1] })
    }

    /// A product of matrices.
    pub fn matmul(&mut self, inputs: &[Option<Term>]) -> Result<Map> {
        self.product(inputs, false, 1.0)
    }

    fn product(&mut self, inputs: &[Option<Term>], transpose_b: bool, alpha: f32) -> Result<Map> {
        let (Some(Some(x)), Some(Some(b))) = (inputs.first(), inputs.get(1)) else {
            return Err("an input is missing".into());
        };
        if self.extents(x).len() != 2 || self.extents(b).len() != 2 {
            return Err("only products of two matrices are read".into());
        }
        let Term::Constant(b) = b else {
            if alpha != 1.0 {
                return Err("its alpha is not 1".into());
            }
            let operands = [self.map(x)?, self.map(b)?].map(|map| self.in_order(&map, &[0, 1]));
            let [a, b] = operands;
            let value = self.emit(Matmul { transpose_a: false, transpose_b }, &[a?, b?])?;
            return Ok(Map { value, order: vec![0, 1] });
        };
        if b.data.len() == 0 {
            return Err(NO_EXTENT.into());
        }
        self.budget.spend(&self.path, b.data.len().saturating_mul(2 * size_of::<f32>()))?;
        // Our weights are [out, in].
        let mut weights = b.floats();
        let (mut n, mut k) = (b.shape[0], b.shape[1]);
        if !transpose_b {
            weights = permuted(&weights, &b.shape, &[1, 0]);
            (n, k) = (k, n);
        }
        if alpha != 1.0 {
            for w in &mut weights {
                *w *= alpha;
            }
        }
        let codes = match x {
            Term::Codes(codes) => Some(codes.clone()),
            Term::Signum { source, shift: 0.0 } => Some(self.signum_codes(source)?),
            _ => None,
        };
        if let Some((codes, kind)) = codes.as_ref().and_then(|codes| Some((codes, codes.kind()?)))
            && !matches!(Weights::new(weights.clone(), n), Weights::Float(_))
        {
            let rows = self.in_order(&codes.source, &[0, 1])?;
            let value = self.emit(Reshape { dims: vec![0, 1, 1, -1] }, &[rows])?;
            let pixels = Map { value, order: channels_first(4) };
            let bits = self.bits(&pixels, &kind, 1)?;
            let kernel = Kernel { weights, shape: [n, k, 1, 1], groups: 1, window: Window::square(1, 1, 0) };
            let y = self.bit_product(bits, kernel, kind.scale, 0)?;
            return Ok(Map { value: self.emit(Reshape { dims: vec![0, -1] }, &[y])?, order: vec![0, 1] });
        }
        let map = self.map(x)?;
        let rows = self.in_order(&map, &[0, 1])?;
        let w = self.state("weight", StateKind::Parameter, &[n, k], weights)?;
        let value = self.emit(Matmul { transpose_a: false, transpose_b: true }, &[rows, w])?;
        Ok(Map { value, order: vec![0, 1] })
    }

    /// Numbers around a value.
    pub fn padded(inner: Term, pads: Vec<[usize; 2]>, value: f32) -> Term {
        Term::Padded(Box::new(Padded { inner, pads, value }))
    }
}
