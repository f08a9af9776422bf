//! Where the rows of a fused op come from.

use std::ops::Range;

use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::image_conv2d::Sum;
use binary_nets_kernels::{BinaryConv2d, ImageConv2d, TernaryConv2d};
use bytemuck::Pod;

use crate::io::Inputs;
use crate::ops::affine::{self, Number};
use crate::ops::binary_conv2d::Strips;
use crate::ops::relu::relu;

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

    /// Does what is done for a whole chunk.
    fn begin(&self, _inputs: &Inputs<'_>, _laid: &[u64], _chunk: usize, _scratch: &mut [u64]) {}

    /// The rows of some pixels of the chunk, `first` being the number of the chunk's first pixel, and perhaps the rectifier of them.
    fn rows(&self, inputs: &Inputs<'_>, scratch: &[u64], first: usize, pixels: Range<usize>, relu: bool, y: &mut [f32]);
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
    pub fn affine(&self, inputs: &Inputs<'_>, dots: &[T], rectify: bool, y: &mut [f32]) {
        let channels = self.conv.geometry().all_out_channels();
        let [a, c] = [self.a, self.c].map(|i| inputs.get::<f32>(i));
        for (y, d) in y.chunks_exact_mut(channels).zip(dots.chunks_exact(channels)) {
            if rectify { affine::row(y, d, a, c, relu) } else { affine::row(y, d, a, c, |y| y) }
        }
    }
}

impl<T: Dot + Pod + Number> Source for Binary<T> {
    fn scratch_words(&self) -> usize {
        self.conv.scratch_words() + (self.chunk_len() * size_of::<T>()).div_ceil(size_of::<u64>())
    }

    fn laid_words(&self) -> usize {
        self.conv.laid_weight_words()
    }

    fn lay(&self, inputs: &Inputs<'_>, laid: &mut [u64]) {
        self.conv.lay_weights(inputs.get(1), laid);
    }

    fn begin(&self, inputs: &Inputs<'_>, laid: &[u64], chunk: usize, scratch: &mut [u64]) {
        self.dots(inputs, laid, chunk, scratch);
    }

    #[inline(always)]
    fn rows(&self, inputs: &Inputs<'_>, scratch: &[u64], _: usize, pixels: Range<usize>, relu: bool, y: &mut [f32]) {
        let dots: &[T] = bytemuck::cast_slice(&scratch[self.conv.scratch_words()..]);
        let channels = self.conv.geometry().all_out_channels();
        self.affine(inputs, &dots[pixels.start * channels..pixels.end * channels], relu, y);
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
        self.conv.scratch_words() + (self.chunk_len() * size_of::<T>()).div_ceil(size_of::<u64>())
    }

    fn laid_words(&self) -> usize {
        self.conv.laid_weight_words()
    }

    fn lay(&self, inputs: &Inputs<'_>, laid: &mut [u64]) {
        self.conv.lay_weights(inputs.get(1), inputs.get(2), laid);
    }

    fn begin(&self, inputs: &Inputs<'_>, laid: &[u64], chunk: usize, scratch: &mut [u64]) {
        let (scratch, sums) = scratch.split_at_mut(self.conv.scratch_words());
        let sums = &mut bytemuck::cast_slice_mut::<u64, T>(sums)[..self.chunk_len()];
        let (image, rows) = self.strips.place(chunk);
        let len = self.conv.image_layout().len();
        self.conv.rows(&inputs.get::<u64>(0)[image * len..][..len], laid, rows, scratch, sums);
    }

    #[inline(always)]
    fn rows(&self, inputs: &Inputs<'_>, scratch: &[u64], _: usize, pixels: Range<usize>, rectify: bool, y: &mut [f32]) {
        let sums: &[T] = bytemuck::cast_slice(&scratch[self.conv.scratch_words()..]);
        let sums = &sums[pixels.start * self.conv.pixel_sums()..pixels.end * self.conv.pixel_sums()];
        let outputs = self.conv.geometry().out_channels;
        let constants = self.constants.map(|i| inputs.get::<f32>(i));
        let groups = self.conv.geometry().groups;
        for (i, (y, sums)) in y.chunks_exact_mut(outputs).zip(sums.chunks_exact(2 * outputs + 1)).enumerate() {
            let constants = constants.map(|all| &all[i % groups * outputs..][..outputs]);
            let planes = [&sums[..outputs], &sums[outputs..2 * outputs]];
            if rectify {
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
        let sums = self.strips.pixels() * self.conv.geometry().out_channels;
        [self.conv.scratch_len() * size_of::<i16>(), sums * size_of::<T>()]
            .map(|bytes| bytes.div_ceil(size_of::<u64>()))
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

    fn begin(&self, inputs: &Inputs<'_>, laid: &[u64], chunk: usize, scratch: &mut [u64]) {
        let (scratch, sums) = scratch.split_at_mut(self.words()[0]);
        let geometry = self.conv.geometry();
        let sums = &mut bytemuck::cast_slice_mut::<u64, T>(sums)[..self.strips.pixels() * geometry.out_channels];
        let scratch = &mut bytemuck::cast_slice_mut(scratch)[..self.conv.scratch_len()];
        let laid = &bytemuck::cast_slice(laid)[..self.conv.laid_weight_len()];
        let (image, rows) = self.strips.place(chunk);
        let len = geometry.in_size[0] * geometry.in_size[1] * geometry.in_channels;
        self.conv.rows(&inputs.get::<u8>(0)[image * len..][..len], laid, rows, scratch, sums);
    }

    #[inline(always)]
    fn rows(
        &self,
        inputs: &Inputs<'_>,
        scratch: &[u64],
        first: usize,
        pixels: Range<usize>,
        rectify: bool,
        y: &mut [f32],
    ) {
        let channels = self.conv.geometry().out_channels;
        let sums = &bytemuck::cast_slice::<u64, T>(&scratch[self.words()[0]..])[pixels.start * channels..];
        let [a, c] = [self.a, self.c].map(|i| inputs.get::<f32>(i));
        let starts = self.starts.iter().cycle().skip((first + pixels.start) % self.starts.len());
        for ((y, x), &start) in y.chunks_exact_mut(channels).zip(sums.chunks_exact(channels)).zip(starts) {
            let c = &c[start..][..channels];
            if rectify { affine::row(y, x, a, c, relu) } else { affine::row(y, x, a, c, |y| y) }
        }
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
    #[inline(always)]
    fn rows(&self, inputs: &Inputs<'_>, _: &[u64], first: usize, pixels: Range<usize>, rectify: bool, y: &mut [f32]) {
        let first = first + pixels.start;
        let x = &inputs.get::<X>(self.x)[first * self.channels..][..y.len()];
        let [a, c] = [self.a, self.c].map(|i| inputs.get::<f32>(i));
        let starts = self.starts.iter().cycle().skip(first % self.starts.len());
        for ((y, x), &start) in y.chunks_exact_mut(self.channels).zip(x.chunks_exact(self.channels)).zip(starts) {
            let c = &c[start..][..self.channels];
            if rectify { affine::row(y, x, a, c, relu) } else { affine::row(y, x, a, c, |y| y) }
        }
    }
}

/// A map of floats.
pub struct Floats {
    pub channels: usize,
    pub x: usize,
}

impl Source for Floats {
    #[inline(always)]
    fn rows(&self, inputs: &Inputs<'_>, _: &[u64], first: usize, pixels: Range<usize>, _: bool, y: &mut [f32]) {
        y.copy_from_slice(&inputs.get::<f32>(self.x)[(first + pixels.start) * self.channels..][..y.len()]);
    }
}
