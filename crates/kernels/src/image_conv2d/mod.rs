//! 2-D convolution of uint8 maps with weights of 16 or 8 bits, in exact integers: the first convolution of a frozen network, and those of quantized maps.
//!
//! 1. The input rows under an output row are copied to lines, with zeros where a tap lies outside (`lines`); each input row once, in a ring.
//! 2. In such a line the products of one kernel row with neighbouring columns are a run of neighbours, `columns · channels` long, so nothing is
//!    gathered: what 32 bits hold of neighbours is read at once, wherever it lies, and multiplied with as many weights (`tile`), lanes along the output
//!    channels. A dilated kernel row is a run of `channels` for each column. A run that fills no whole words ends with weights 0.
//! 3. Such a word is two pixels and weights of 16 bits or, where an instruction multiplies them exactly and the weights are small, four of 8 (`factors`).
//! 4. Sums in 32 bits hold 257 products of weights of 16 bits. More are summed in parts, which are added in 64 bits (`segments`).

mod factors;
mod kernels;
mod lay;
mod lines;
mod segments;
mod sum;
mod tile;

pub use kernels::{KERNELS, Kernel};
pub use sum::Sum;

use crate::{Conv2dGeometry, Isa, KernelError};
use segments::Segment;
use std::ops::Range;

/// A convolution of one image of pixels, with its kernel chosen.
///
/// It is used as [`BinaryConv2d`](crate::BinaryConv2d) is: weights are laid once, then [`rows`](Self::rows) computes any rows of any image. Every
/// buffer is the caller's, and nothing allocates after construction.
#[derive(Clone, Debug)]
pub struct ImageConv2d {
    kernel: &'static Kernel,
    isa: Isa,
    shape: Shape,
}

/// What the steps of the convolution need to know, computed once.
#[derive(Clone, Debug)]
struct Shape {
    geometry: Conv2dGeometry,
    /// Output pixels: rows, columns.
    out_size: [usize; 2],
    /// Output channels of one tile.
    block: usize,
    /// The largest |product|: of a pixel and a weight.
    product: i64,
    /// The products of an output; those of a part fit into 32 bits.
    parts: Vec<Vec<Segment>>,
    /// Pixels, and weights, that 32 bits hold.
    per_word: usize,
    /// Words of all segments.
    words: usize,
    /// Elements of a line.
    line: usize,
    /// Lines of the ring.
    lines: usize,
    /// Output rows whose tap, by row of the kernel, lies inside the image.
    inside_rows: Vec<Range<usize>>,
}

/// One call of [`ImageConv2d::rows`].
struct Job<'a, T> {
    shape: &'a Shape,
    image: &'a [u8],
    laid: &'a [i16],
    rows: Range<usize>,
    scratch: &'a mut [i16],
    out: &'a mut [T],
}

impl ImageConv2d {
    /// Chooses the kernel of `isa` for weights of at most `largest` in absolute value whose tiles fit the geometry best. There is one group.
    pub fn new(geometry: Conv2dGeometry, largest: i16, isa: Isa) -> Result<Self, KernelError> {
        validate(&geometry)?;
        let kernel = kernels::fastest(isa, largest, geometry.out_size()[1], geometry.out_channels);
        Ok(Self { kernel, isa, shape: Shape::new(geometry, largest, kernel) })
    }

    /// Uses `kernel` if it takes such weights.
    pub fn with_kernel(geometry: Conv2dGeometry, largest: i16, kernel: &'static Kernel) -> Result<Self, KernelError> {
        validate(&geometry)?;
        let isa = kernel.id.available()?;
        if largest > kernel.largest() {
            return Err(KernelError::Weights { kernel: kernel.id.name(), most: kernel.largest(), largest });
        }
        Ok(Self { kernel, isa, shape: Shape::new(geometry, largest, kernel) })
    }

    /// The geometry it was made for.
    pub fn geometry(&self) -> &Conv2dGeometry {
        &self.shape.geometry
    }

    /// Name of the chosen kernel: pixels × output channels of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.id.name()
    }

    /// The largest |sum|: 255 · the largest weight · taps · channels.
    pub fn sum_bound(&self) -> i64 {
        self.shape.product * self.shape.depth() as i64
    }

    /// Elements of the weights, `[out_channels, kh, kw, in_channels]`.
    pub fn weight_len(&self) -> usize {
        self.shape.geometry.out_channels * self.shape.depth()
    }

    /// Elements of the laid weights.
    pub fn laid_weight_len(&self) -> usize {
        self.shape.geometry.out_channels.next_multiple_of(self.shape.block) * self.shape.words * 2
    }

    /// Elements of scratch that one thread needs.
    pub fn scratch_len(&self) -> usize {
        (self.shape.lines * self.shape.line * 2).div_ceil(self.shape.per_word)
    }

    /// Lays weights as the kernel reads them.
    ///
    /// # Panics
    /// If a slice does not have its length.
    pub fn lay_weights(&self, weights: &[i16], laid: &mut [i16]) {
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        assert_eq!(laid.len(), self.laid_weight_len(), "length of the laid weights");
        match self.shape.per_word {
            4 => lay::lay(&self.shape, weights, bytemuck::cast_slice_mut(laid), |weight| weight as i8),
            _ => lay::lay(&self.shape, weights, laid, |weight| weight),
        }
    }

    /// The sums of output rows `rows` of `image: [in_h, in_w, in_channels]`, as `out: [rows, out_w, out_channels]`.
    ///
    /// # Panics
    /// If a slice does not have its length, `rows` is out of range, or `T` is too narrow for [`sum_bound`](Self::sum_bound).
    pub fn rows<T: Sum>(&self, image: &[u8], laid: &[i16], rows: Range<usize>, scratch: &mut [i16], out: &mut [T]) {
        let ([in_h, in_w], [out_h, out_w]) = (self.shape.geometry.in_size, self.shape.out_size);
        assert!(self.sum_bound() <= T::BOUND, "sums of up to {} need i64", self.sum_bound());
        assert!(rows.start <= rows.end && rows.end <= out_h, "rows {rows:?} of {out_h}");
        assert_eq!(image.len(), in_h * in_w * self.shape.geometry.in_channels, "length of the image");
        assert_eq!(laid.len(), self.laid_weight_len(), "length of the laid weights");
        assert_eq!(scratch.len(), self.scratch_len(), "length of the scratch");
        assert_eq!(out.len(), rows.len() * out_w * self.shape.geometry.out_channels, "length of the output");
        T::run(self.kernel, self.isa, Job { shape: &self.shape, image, laid, rows, scratch, out });
    }
}

fn validate(geometry: &Conv2dGeometry) -> Result<(), KernelError> {
    geometry.validate()?;
    match geometry.groups {
        1 => Ok(()),
        groups => Err(KernelError::Groups { groups }),
    }
}

impl Shape {
    fn new(geometry: Conv2dGeometry, largest: i16, kernel: &Kernel) -> Self {
        let (out_size, per_word, product) = (geometry.out_size(), kernel.per_word(), 255 * i64::from(largest));
        let parts = segments::parts(&geometry, (i64::from(i32::MAX) / product) as usize);
        Self {
            out_size,
            block: kernel.block(),
            product,
            words: parts.iter().flatten().map(|segment| segment.words(per_word)).sum(),
            parts,
            // The word of the last products may reach beyond them.
            line: ((out_size[1] - 1) * geometry.stride[1] + geometry.span(1)) * geometry.in_channels + per_word - 1,
            per_word,
            lines: geometry.span(0).min(geometry.in_size[0]),
            inside_rows: (0..geometry.kernel[0]).map(|tap| geometry.inside(0, tap)).collect(),
            geometry,
        }
    }

    /// Products of an output.
    fn depth(&self) -> usize {
        self.geometry.taps() * self.geometry.in_channels
    }
}
