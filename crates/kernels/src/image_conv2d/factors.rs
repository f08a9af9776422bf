//! In which form pixels meet weights: as many of either as 32 bits hold are multiplied and summed at once.

use crate::vector::{Pairs, Quads};

/// A form of pixels and weights.
pub(super) trait Factors<S: Pairs> {
    /// The largest |weight|.
    const LARGEST: i16;
    /// Pixels, and weights, of 32 bits.
    const PER_WORD: usize;
    /// A pixel in a line.
    type Pixel: Copy + From<u8>;
    /// Neighbours of 32 bits.
    type Pixels: Copy;
    /// The weights of neighbours.
    type Weights;

    /// Scratch memory as pixels.
    fn line(scratch: &mut [i16]) -> &mut [Self::Pixel];
    /// A part of a line as words; pixels that fill none are left out.
    fn pixels(line: &[Self::Pixel]) -> &[Self::Pixels];
    /// Laid weights as words.
    fn weights(laid: &[i16]) -> &[Self::Weights];
    /// A word in every lane.
    fn splat(token: S, x: Self::Pixels) -> S::I32;
    /// The first words of `w`.
    fn load(token: S, w: &[Self::Weights]) -> S::I32;
    /// `sums + Σ x·w`, lane by lane.
    fn dot(token: S, x: S::I32, w: S::I32, sums: S::I32) -> S::I32;
}

/// Both in 16 bits.
pub(super) struct InPairs;

/// Both in 8 bits.
pub(super) struct InQuads;

impl<S: Pairs> Factors<S> for InPairs {
    const LARGEST: i16 = i16::MAX;
    const PER_WORD: usize = 2;
    type Pixel = i16;
    type Pixels = [i16; 2];
    type Weights = [i16; 2];

    #[inline(always)]
    fn line(scratch: &mut [i16]) -> &mut [i16] {
        scratch
    }

    #[inline(always)]
    fn pixels(line: &[i16]) -> &[[i16; 2]] {
        line.as_chunks().0
    }

    #[inline(always)]
    fn weights(laid: &[i16]) -> &[[i16; 2]] {
        laid.as_chunks().0
    }

    #[inline(always)]
    fn splat(token: S, x: [i16; 2]) -> S::I32 {
        token.splat_pair(x)
    }

    #[inline(always)]
    fn load(token: S, w: &[[i16; 2]]) -> S::I32 {
        token.load_pairs(w)
    }

    #[inline(always)]
    fn dot(token: S, x: S::I32, w: S::I32, sums: S::I32) -> S::I32 {
        token.dot_pairs(x, w, sums)
    }
}

impl<S: Quads> Factors<S> for InQuads {
    const LARGEST: i16 = i8::MAX as i16;
    const PER_WORD: usize = 4;
    type Pixel = u8;
    type Pixels = [u8; 4];
    type Weights = [i8; 4];

    #[inline(always)]
    fn line(scratch: &mut [i16]) -> &mut [u8] {
        bytemuck::cast_slice_mut(scratch)
    }

    #[inline(always)]
    fn pixels(line: &[u8]) -> &[[u8; 4]] {
        line.as_chunks().0
    }

    #[inline(always)]
    fn weights(laid: &[i16]) -> &[[i8; 4]] {
        bytemuck::cast_slice(laid)
    }

    #[inline(always)]
    fn splat(token: S, x: [u8; 4]) -> S::I32 {
        token.splat_quad(x)
    }

    #[inline(always)]
    fn load(token: S, w: &[[i8; 4]]) -> S::I32 {
        token.load_quads(w)
    }

    #[inline(always)]
    fn dot(token: S, x: S::I32, w: S::I32, sums: S::I32) -> S::I32 {
        token.dot_quads(x, w, sums)
    }
}
