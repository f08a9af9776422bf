//! Where the rows of a fused op come from.

use std::ops::Range;

use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::image_conv2d::Sum;
use binary_nets_kernels::{BinaryConv2d, ImageConv2d, TernaryConv2d};
use bytemuck::Pod;

use crate::io::Inputs;
use crate::ops::affine::{self, Finish, Number};
use crate::ops::binary_conv2d::Strips;
use crate::ops::relu::relu;

/// Words of a line of the cache.
pub const LINE: usize = 8;

/// Words of scratch memory for some elements: whole lines, for what stands behind would else lie across two lines wherever it is read.
pub const fn words<T>(elements: usize) -> usize {
    (elements * size_of::<T>()).div_ceil(LINE * size_of::<u64>()) * LINE
}

/// Gives rows of floats, chunk by chunk. Numbers are those of inputs.
pub trait Source: Send + Sync + 'static {
    /// Scratch words of a lane.
    fn scratch_words(&self) -> usize {
        0
    }

    /// Words of laid weights.
    fn laid_words(&self) -> usize {
        0
    }

    /// Lays the weights.
    fn lay(&self, _inputs: &Inputs<'_>, _laid: &mut [u64]) {}

    /// Pixels that it can only give together, if it is not one.
    fn together(&self) -> Option<usize> {
        None
    }

    /// Does what is done for a whole chunk.
    fn begin(&self, _chunk: Chunk<'_>, _scratch: &mut [u64]) {}

    /// Whether it reads an input that a sum with its rows could replace.
    fn reads(&self, _input: usize) -> bool {
        false
    }

    /// Whether it can finish its rows with a sum.
    fn adds(&self) -> bool {
        false
    }

    /// The rows of some pixels of a chunk that has begun, and what finishes them. Pixels come in ascending order.
    fn rows(&self, chunk: Chunk<'_>, scratch: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]);
}

/// Rows that are made together.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    pub inputs: &'a Inputs<'a>,
    pub laid: &'a [u64],
    /// The number of the chunk.
    pub number: usize,
    /// The number of its first pixel.
    pub first: usize,
}

/// The integers of a binary convolution of inputs 0 and 1, and their affine.
pub struct Binary<T> {
    pub conv: BinaryConv2d,
    pub strips: Strips,
    pub a: usize,
    pub c: usize,
    pub dots: std::marker::PhantomData<T>,
}

impl<T: Dot + Pod> Binary<T> {
    /// Output elements of a chunk.
    fn chunk_len(&self) -> usize {
        self.strips.pixels() * self.conv.geometry().all_out_channels()
    }

    /// The integers of a chunk.
    pub fn dots<'s>(&self, inputs: &Inputs<'_>, laid: &[u64], chunk: usize, scratch: &'s mut [u64]) -> &'s [T] {
        let (scratch, dots) = scratch.split_at_mut(self.conv.scratch_words());
        let dots = &mut bytemuck::cast_slice_mut::<u64, T>(dots)[..self.chunk_len()];
        let (image, rows) = self.strips.place(chunk);
        let len = self.conv.image_layout().len();
        self.conv.rows(&inputs.get::<u64>(0)[image * len..][..len], laid, rows, scratch, dots);
        dots
    }
}

impl<T: Dot + Pod + Number> Binary<T> {
    /// The affine of rows of integers.
    #[inline(always)]
    pub fn affine(&self, inputs: &Inputs<'_>, dots: &[T], finish: Finish<'_>, y: &mut [f32]) {
        affine::rows(y, dots, inputs.get(self.a), inputs.get(self.c), finish);
    }
}

impl<T: Dot + Pod + Number> Source for Binary<T> {
    fn scratch_words(&self) -> usize {
        self.conv.scratch_words() + words::<T>(self.chunk_len())
    }

    fn laid_words(&self) -> usize {
        self.conv.laid_weight_words()
    }

    fn lay(&self, inputs: &Inputs<'_>, laid: &mut [u64]) {
        self.conv.lay_weights(inputs.get(1), laid);
    }

    fn begin(&self, Chunk { inputs, laid, number, .. }: Chunk<'_>, scratch: &mut [u64]) {
        self.dots(inputs, laid, number, scratch);
    }

    fn adds(&self) -> bool {
        true
    }

    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, scratch: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]) {
        let dots: &[T] = bytemuck::cast_slice(&scratch[self.conv.scratch_words()..]);
        let channels = self.conv.geometry().all_out_channels();
        self.affine(chunk.inputs, &dots[pixels.start * channels..pixels.end * channels], finish, y);
    }
}

/// The integers of a ternary convolution of inputs 0, 1 and 2, and their affine.
pub struct Ternary<T> {
    pub conv: TernaryConv2d,
    pub strips: Strips,
    pub constants: [usize; 3],
    pub sums: std::marker::PhantomData<T>,
}

impl<T> Ternary<T> {
    /// Sums of a chunk.
    fn chunk_len(&self) -> usize {
        self.strips.pixels() * self.conv.pixel_sums()
    }
}

impl<T: Dot + Pod + Number> Source for Ternary<T> {
    fn scratch_words(&self) -> usize {
        self.conv.scratch_words() + words::<T>(self.chunk_len())
    }

    fn laid_words(&self) -> usize {
        self.conv.laid_weight_words()
    }

    fn lay(&self, inputs: &Inputs<'_>, laid: &mut [u64]) {
        self.conv.lay_weights(inputs.get(1), inputs.get(2), laid);
    }

    fn begin(&self, Chunk { inputs, laid, number, .. }: Chunk<'_>, scratch: &mut [u64]) {
        let (scratch, sums) = scratch.split_at_mut(self.conv.scratch_words());
        let sums = &mut bytemuck::cast_slice_mut::<u64, T>(sums)[..self.chunk_len()];
        let (image, rows) = self.strips.place(number);
        let len = self.conv.image_layout().len();
        self.conv.rows(&inputs.get::<u64>(0)[image * len..][..len], laid, rows, scratch, sums);
    }

    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, scratch: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]) {
        let sums: &[T] = bytemuck::cast_slice(&scratch[self.conv.scratch_words()..]);
        let sums = &sums[pixels.start * self.conv.pixel_sums()..pixels.end * self.conv.pixel_sums()];
        let outputs = self.conv.geometry().out_channels;
        let constants = self.constants.map(|i| chunk.inputs.get::<f32>(i));
        let groups = self.conv.geometry().groups;
        for (i, (y, sums)) in y.chunks_exact_mut(outputs).zip(sums.chunks_exact(2 * outputs + 1)).enumerate() {
            let constants = constants.map(|all| &all[i % groups * outputs..][..outputs]);
            let planes = [&sums[..outputs], &sums[outputs..2 * outputs]];
            if matches!(finish, Finish::Relu) {
                affine::ternary_row(y, planes, constants, relu);
            } else {
                affine::ternary_row(y, planes, constants, |y| y);
            }
        }
    }
}

/// The integers of a convolution of images, inputs 0 and 1, and their affine.
pub struct Image<T> {
    pub conv: ImageConv2d,
    pub strips: Strips,
    pub a: usize,
    pub c: usize,
    /// As [`affine::case_starts`] says.
    pub starts: Vec<usize>,
    pub sums: std::marker::PhantomData<T>,
}

impl<T: Pod> Image<T> {
    /// Words of the convolution's own scratch, and of the sums of a chunk.
    fn words(&self) -> [usize; 2] {
        [words::<i16>(self.conv.scratch_len()), words::<T>(self.strips.pixels() * self.conv.geometry().out_channels)]
    }
}

impl<T: Sum + Pod + Number> Source for Image<T> {
    fn scratch_words(&self) -> usize {
        self.words().iter().sum()
    }

    fn laid_words(&self) -> usize {
        (self.conv.laid_weight_len() * size_of::<i16>()).div_ceil(size_of::<u64>())
    }

    fn lay(&self, inputs: &Inputs<'_>, laid: &mut [u64]) {
        self.conv.lay_weights(inputs.get(1), &mut bytemuck::cast_slice_mut(laid)[..self.conv.laid_weight_len()]);
    }

    fn begin(&self, Chunk { inputs, laid, number, .. }: Chunk<'_>, scratch: &mut [u64]) {
        let (scratch, sums) = scratch.split_at_mut(self.words()[0]);
        let geometry = self.conv.geometry();
        let sums = &mut bytemuck::cast_slice_mut::<u64, T>(sums)[..self.strips.pixels() * geometry.out_channels];
        let scratch = &mut bytemuck::cast_slice_mut(scratch)[..self.conv.scratch_len()];
        let laid = &bytemuck::cast_slice(laid)[..self.conv.laid_weight_len()];
        let (image, rows) = self.strips.place(number);
        let len = geometry.in_size[0] * geometry.in_size[1] * geometry.in_channels;
        self.conv.rows(&inputs.get::<u8>(0)[image * len..][..len], laid, rows, scratch, sums);
    }

    fn adds(&self) -> bool {
        true
    }

    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, scratch: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]) {
        let channels = self.conv.geometry().out_channels;
        let sums = &bytemuck::cast_slice::<u64, T>(&scratch[self.words()[0]..])[pixels.start * channels..];
        let [a, c] = [self.a, self.c].map(|i| chunk.inputs.get::<f32>(i));
        affine::bordered_rows(y, &sums[..y.len()], a, c, (&self.starts, chunk.first + pixels.start), finish);
    }
}

/// The affine of a map of numbers.
pub struct Affine<X> {
    pub channels: usize,
    pub x: usize,
    pub a: usize,
    pub c: usize,
    /// As [`affine::case_starts`] says.
    pub starts: Vec<usize>,
    pub numbers: std::marker::PhantomData<X>,
}

impl<X: Number> Source for Affine<X> {
    fn reads(&self, input: usize) -> bool {
        self.x == input
    }

    fn adds(&self) -> bool {
        true
    }

    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, _: &mut [u64], pixels: Range<usize>, finish: Finish<'_>, y: &mut [f32]) {
        let first = chunk.first + pixels.start;
        let x = &chunk.inputs.get::<X>(self.x)[first * self.channels..][..y.len()];
        let [a, c] = [self.a, self.c].map(|i| chunk.inputs.get::<f32>(i));
        affine::bordered_rows(y, x, a, c, (&self.starts, first), finish);
    }
}

/// A map of floats.
pub struct Floats {
    pub channels: usize,
    pub x: usize,
}

impl Source for Floats {
    #[inline(always)]
    fn rows(&self, chunk: Chunk<'_>, _: &mut [u64], pixels: Range<usize>, _: Finish<'_>, y: &mut [f32]) {
        y.copy_from_slice(&chunk.inputs.get::<f32>(self.x)[(chunk.first + pixels.start) * self.channels..][..y.len()]);
    }
}
