//! Binary 2-D convolution: exact integer dot products of packed ±1 or 0/1 codes with packed ±1 weights.
//!
//! 1. The pixels under the taps of up to 64 outputs are gathered as a matrix of words, `[depth, 64]` (`gather`), with the padding
//!    value where a tap lies outside; so the tile has no border. Channels of at most 32 bits share a word with other taps.
//! 2. `count = popcount(a ^ w)` for each output pixel and channel, lanes along the output channels: by xor and popcount (`tile`), or by lookups of
//!    four bits each (`table`), where instructions count slowly and shuffle fast. The kernel decides.
//! 3. `dot = base + factor · count`: −2 and K for `Sign` codes, 1 and −popcount(w) for `Step` codes.
//! 4. A 0 that pads ±1 codes was gathered as +1: the sum of that tap's weights is taken away again (`border`).
//!
//! For `tile`, gathered words and laid weights are stored as running parities over the depth (running xors), which halves the popcounts; for `table`, as
//! `nibbles`.

mod border;
mod dot;
mod gather;
mod geometry;
mod kernels;
mod lay;
mod nibbles;
mod table;
mod tile;

pub use dot::Dot;
pub use geometry::Conv2dGeometry;
pub use kernels::{KERNELS, Kernel};

use crate::{Isa, KernelError};
use binary_nets_bits::{BitLayout, Codes};
use std::ops::Range;

/// Output pixels gathered at a time: enough to reuse the weights from the first cache, few enough to stay there themselves.
pub(crate) const CHUNK: usize = 64;

/// A binary convolution of one image, with its kernel chosen.
///
/// Weights are re-laid once ([`lay_weights`](Self::lay_weights)), then [`rows`](Self::rows) computes any rows of any image. Every buffer is the
/// caller's, and nothing allocates after construction. The caller splits images and rows among threads, each with its own scratch.
#[derive(Clone, Debug)]
pub struct BinaryConv2d {
    kernel: &'static Kernel,
    isa: Isa,
    pub(crate) shape: Shape,
}

/// What the steps of the convolution need to know, computed once.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub geometry: Conv2dGeometry,
    pub codes: Codes,
    /// What stands outside the image: 0 or 1.
    pub pad_value: u8,
    /// Output pixels: rows, columns.
    pub out_size: [usize; 2],
    /// Words of one pixel of one group.
    pub words: usize,
    /// Base-2 logarithm of the taps that share one word: above 0 only where a pixel has at most 32 channels.
    pub log_taps_per_word: u32,
    /// Words of one dot product.
    pub depth: usize,
    /// Output channels of one tile.
    pub block: usize,
    /// How the tile reads pixels and weights.
    pub form: Form,
    /// Output columns whose tap, by column of the kernel, lies inside the image.
    pub inside_columns: Vec<Range<usize>>,
    /// The same for rows.
    pub inside_rows: Vec<Range<usize>>,
}

/// How a tile reads pixels and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Words, as running parities over the depth.
    Parities,
    /// Four bits of the depth at a time.
    Nibbles,
}

/// One call of [`BinaryConv2d::rows`].
pub(crate) struct Job<'a, T> {
    pub shape: &'a Shape,
    pub image: &'a [u64],
    pub laid: lay::Laid<'a>,
    pub rows: Range<usize>,
    pub scratch: &'a mut [u64],
    pub out: &'a mut [T],
}

impl BinaryConv2d {
    /// Chooses the kernel of `isa` whose tiles fit the geometry best.
    pub fn new(geometry: Conv2dGeometry, codes: Codes, pad_value: u8, isa: Isa) -> Result<Self, KernelError> {
        geometry.validate()?;
        let pixels = geometry.out_size().iter().product();
        let kernel = kernels::fastest(isa, pixels, geometry.out_channels);
        Self::bind(geometry, codes, pad_value, kernel, isa)
    }

    /// Uses `kernel`, whatever it is.
    pub fn with_kernel(
        geometry: Conv2dGeometry,
        codes: Codes,
        pad_value: u8,
        kernel: &'static Kernel,
    ) -> Result<Self, KernelError> {
        geometry.validate()?;
        let isa = kernel.id.available()?;
        Self::bind(geometry, codes, pad_value, kernel, isa)
    }

    fn bind(
        geometry: Conv2dGeometry,
        codes: Codes,
        pad_value: u8,
        kernel: &'static Kernel,
        isa: Isa,
    ) -> Result<Self, KernelError> {
        if pad_value > 1 {
            return Err(KernelError::PadValue { value: pad_value });
        }
        let bound = geometry.taps() * geometry.in_channels;
        // The transform computes 2 · count in 32 bits before it subtracts.
        if bound > i32::MAX as usize / 2 {
            return Err(KernelError::DotBound { bound });
        }
        Ok(Self { kernel, isa, shape: Shape::new(geometry, codes, pad_value, kernel.block(), kernel.form()) })
    }

    /// The geometry it was made for.
    pub fn geometry(&self) -> &Conv2dGeometry {
        &self.shape.geometry
    }

    /// Name of the chosen kernel: pixels × output channels of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.id.name()
    }

    /// The same where thresholds follow.
    pub fn threshold_kernel_name(&self) -> &'static str {
        self.kernel.threshold_name()
    }

    /// The largest |dot|: taps · channels.
    pub fn dot_bound(&self) -> usize {
        self.shape.depth_bits()
    }

    /// The layout of one packed image, `[in_h · in_w, groups, words]`.
    pub fn image_layout(&self) -> BitLayout {
        let g = &self.shape.geometry;
        BitLayout { rows: g.in_size[0] * g.in_size[1], groups: g.groups, channels: g.in_channels }
    }

    /// The layout of the packed weights, `[groups · out_channels, kh, kw, words]`.
    pub fn weight_layout(&self) -> BitLayout {
        let g = &self.shape.geometry;
        BitLayout { rows: g.all_out_channels() * g.taps(), groups: 1, channels: g.in_channels }
    }

    /// Words of the laid weights, with the constants of the output transform and the border.
    pub fn laid_weight_words(&self) -> usize {
        self.shape.laid_words()
    }

    /// Words of scratch that one thread needs.
    pub fn scratch_words(&self) -> usize {
        match self.shape.form {
            Form::Parities => self.shape.depth * CHUNK,
            Form::Nibbles => self.shape.nibble_scratch_words(),
        }
    }

    /// Lays packed weights as the kernel reads them. Once a training step; its cost is about that of reading them.
    ///
    /// # Panics
    /// If a slice does not have the length of [`weight_layout`](Self::weight_layout) or
    /// [`laid_weight_words`](Self::laid_weight_words).
    pub fn lay_weights(&self, packed: &[u64], laid: &mut [u64]) {
        assert_eq!(packed.len(), self.weight_layout().len(), "length of the packed weights");
        self.lay_outputs(packed.chunks_exact(self.shape.geometry.taps() * self.shape.words), laid);
    }

    /// The same, output channel by output channel: `[kh, kw, words]` of each.
    pub(crate) fn lay_outputs<'a>(&self, outputs: impl Iterator<Item = &'a [u64]>, laid: &mut [u64]) {
        assert_eq!(laid.len(), self.laid_weight_words(), "length of the laid weights");
        self.isa.vectorize(
            #[inline(always)]
            || lay::lay(&self.shape, outputs, laid),
        );
    }

    /// The dot products of output rows `rows` of `image`, as `out: [rows, out_w, groups · out_channels]`.
    ///
    /// # Panics
    /// If a slice does not have its length, `rows` is out of range, or `T` is too narrow for
    /// [`dot_bound`](Self::dot_bound).
    pub fn rows<T: Dot>(&self, image: &[u64], laid: &[u64], rows: Range<usize>, scratch: &mut [u64], out: &mut [T]) {
        let [out_h, out_w] = self.shape.out_size;
        assert!(self.dot_bound() <= T::BOUND, "dot products of up to {} need i32", self.dot_bound());
        assert!(rows.start <= rows.end && rows.end <= out_h, "rows {rows:?} of {out_h}");
        assert_eq!(image.len(), self.image_layout().len(), "length of the packed image");
        assert_eq!(laid.len(), self.laid_weight_words(), "length of the laid weights");
        assert_eq!(scratch.len(), self.scratch_words(), "length of the scratch");
        let channels = self.shape.geometry.all_out_channels();
        assert_eq!(out.len(), rows.len() * out_w * channels, "length of the output");
        let laid = lay::Laid::new(&self.shape, laid);
        T::run(self.kernel, self.isa, Job { shape: &self.shape, image, laid, rows, scratch, out });
    }
}

impl Shape {
    fn new(geometry: Conv2dGeometry, codes: Codes, pad_value: u8, block: usize, form: Form) -> Self {
        let words = binary_nets_bits::words(geometry.in_channels);
        let log_taps_per_word = 6_u32.saturating_sub(geometry.in_channels.next_power_of_two().ilog2());
        Self {
            codes,
            pad_value,
            out_size: geometry.out_size(),
            words,
            log_taps_per_word,
            depth: words * geometry.taps().div_ceil(1 << log_taps_per_word),
            block,
            form,
            inside_columns: (0..geometry.kernel[1]).map(|tap| geometry.inside(1, tap)).collect(),
            inside_rows: (0..geometry.kernel[0]).map(|tap| geometry.inside(0, tap)).collect(),
            geometry,
        }
    }

    /// K: the products of one dot.
    fn depth_bits(&self) -> usize {
        self.geometry.taps() * self.geometry.in_channels
    }

    /// Blocks of output channels of one group; the last may be partial.
    fn blocks(&self) -> usize {
        self.geometry.out_channels.div_ceil(self.block)
    }

    /// What a differing bit adds to a dot.
    fn factor(&self) -> i32 {
        match self.codes {
            Codes::Sign => -2,
            Codes::Step => 1,
        }
    }

    /// Whether a border needs its correction: a 0 has no bit among ±1 codes.
    fn corrects_border(&self) -> bool {
        self.codes == Codes::Sign && self.pad_value == 0 && self.geometry.padding != [0, 0]
    }

    /// How far the bits of `tap` are shifted in the word they share.
    fn shift(&self, tap: usize) -> usize {
        (tap & ((1 << self.log_taps_per_word) - 1)) * (64 >> self.log_taps_per_word)
    }

    /// The place in the dot product of word `word` of `tap`.
    fn place(&self, tap: usize, word: usize) -> usize {
        (tap >> self.log_taps_per_word) * self.words + word
    }

    /// Whether the word at `place` is stored as the running parity: all are, but a last word without a partner.
    fn is_parity(&self, place: usize) -> bool {
        place + 1 < self.depth || self.depth % 2 == 1
    }
}
