//! Codes of a binary convolution without a float: its integers are compared with an interval for each channel.

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_exec::{IoMeta, Prepared, Prologue};
use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::pack_between;
use bytemuck::Pod;
use std::sync::Arc;

use super::Rows;
use super::source::{Binary, Source};
use super::steps::{self, Place};
use crate::io::{Inputs, Io, Kernel};
use crate::ops::affine::{Finish, Number};
use crate::ops::packed::PackedRows;
use crate::target::Target;

/// Rows to codes alone, by steps each of which grows or falls all along, so that each channel's code turns at one integer at most (see `Fused::is_threshold`).
///
/// That holds where no number leaves the range of f32. Where one does, which the constants alone decide, the rows are computed as floats.
pub struct Threshold<T> {
    pub rows: Rows<Binary<T>>,
    pub codes: Codes,
}

impl<T: Dot + Pod + Number + TryFrom<i32>> Threshold<T> {
    pub fn prepare(self, io: &IoMeta, target: Target) -> Prepared<Kernel> {
        let name = self.rows.source.conv.threshold_kernel_name();
        let (laid_words, per_lane) = (self.rows.source.laid_words(), self.rows.lane_words());
        let layout = PackedRows::of(io.outputs[0]).layout(self.rows.chunk);
        let bounds = 64 * layout.row_words();
        let bounds_words = bounds * size_of::<T>() / size_of::<u64>();
        let kernel = Arc::new(self);
        let same = Arc::clone(&kernel);
        let prologue: Kernel = Box::new(move |io| {
            let (laid, rest) = io.resident_mut::<u64>().split_at_mut(laid_words);
            let (low, rest) = rest.split_at_mut(bounds_words);
            let (high, bounded) = rest.split_at_mut(bounds_words);
            same.rows.source.lay(io.inputs(), laid);
            let bounds = same.bounds(io.inputs());
            bounded[0] = u64::from(bounds.is_some());
            let bounds = bounds.unwrap_or_default();
            lay_bounds::<T>(bounds, layout, bytemuck::cast_slice_mut(low), bytemuck::cast_slice_mut(high));
        });
        let run = move |io: &Io<'_>| {
            let (laid, rest) = io.resident::<u64>().split_at(laid_words);
            let (low, rest) = rest.split_at(bounds_words);
            let (high, bounded) = rest.split_at(bounds_words);
            if bounded[0] == 0 {
                kernel.rows.run(io, laid, io.scratch());
                return;
            }
            let [low, high]: [&[T]; 2] = [low, high].map(bytemuck::cast_slice);
            let inputs = io.inputs();
            io.threads().for_chunks_with(io.output(0), layout.len(), io.scratch(), per_lane, |i, out, scratch| {
                let dots = kernel.rows.source.dots(inputs, laid, i, scratch);
                pack_between(kernel.rows.isa, dots, low, high, layout, out);
            });
        };
        let bytes = (laid_words + 2 * bounds_words + 1) * size_of::<u64>();
        let scratch = target.threads * per_lane * size_of::<u64>();
        let prologue = Some(Prologue { kernel: prologue, bytes, consumed: vec![1] });
        Prepared { kernel: Box::new(run), name, scratch, prologue, in_place: None }
    }

    /// The least and the largest integer of each channel whose bit is 1: found by trying the steps themselves, so that every rounding is in it. None where a
    /// number is not finite for the least or the largest integer that there is; else all between them are, for they lie between those.
    fn bounds(&self, inputs: &Inputs<'_>) -> Option<Vec<(i32, i32)>> {
        let bound = self.rows.source.conv.dot_bound() as i32;
        let channels = self.rows.channels;
        let (mut below, mut above) = (vec![-bound; channels], vec![bound; channels]);
        let (first, last) = (self.bits(inputs, &below)?, self.bits(inputs, &above)?);
        while below.iter().zip(&above).any(|(below, above)| above - below > 1) {
            let middle: Vec<i32> = below.iter().zip(&above).map(|(below, above)| (below + above) / 2).collect();
            let bits = self.bits(inputs, &middle)?;
            for (channel, &middle) in middle.iter().enumerate() {
                let side = if bits[channel] == first[channel] { &mut below } else { &mut above };
                side[channel] = middle;
            }
        }
        let interval = |channel: usize| match (first[channel], last[channel]) {
            (false, false) => (1, 0),
            (false, true) => (above[channel], bound),
            (true, false) => (-bound, below[channel]),
            (true, true) => (-bound, bound),
        };
        Some((0..channels).map(interval).collect())
    }

    /// The bit of each channel for one integer each; none where a number on the way is not finite. A rectifier that is joined to what stands before it hides −∞
    /// alone, which is as good as 0: it stays the least.
    fn bits(&self, inputs: &Inputs<'_>, dots: &[i32]) -> Option<Vec<bool>> {
        let dots: Vec<T> = dots.iter().map(|&d| T::try_from(d).unwrap_or_default()).collect();
        let mut y = vec![0.0_f32; dots.len()];
        let is_finite = |y: &[f32]| y.iter().all(|y| y.is_finite());
        self.rows.source.affine(inputs, &dots, if self.rows.relu { Finish::Relu } else { Finish::Plain }, &mut y);
        let mut finite = is_finite(&y);
        let place = Place { inputs, pixel: 0, channels: dots.len() };
        for step in &self.rows.steps {
            steps::run(self.rows.isa, std::slice::from_ref(step), place, &mut y, &mut []);
            finite &= is_finite(&y);
        }
        finite.then(|| y.into_iter().map(|y| self.codes.bit(y)).collect())
    }
}

/// The bounds of all channels as [`pack_between`] takes them.
fn lay_bounds<T: Dot + TryFrom<i32>>(bounds: Vec<(i32, i32)>, layout: BitLayout, low: &mut [T], high: &mut [T]) {
    let number = |d: i32| T::try_from(d).unwrap_or_default();
    low.fill(number(1));
    high.fill(number(0));
    for (channel, (from, to)) in bounds.into_iter().enumerate() {
        let (word, bit) = layout.position(0, channel / layout.channels, channel % layout.channels);
        (low[64 * word + bit], high[64 * word + bit]) = (number(from), number(to));
    }
}
