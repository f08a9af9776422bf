//! Codes of a binary convolution without a float: its integers are compared with an interval for each channel.

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_exec::{ExecError, IoMeta, Prepared, Prologue};
use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::{Isa, pack_between};
use bytemuck::Pod;
use std::sync::Arc;

use super::source::{Binary, Source};
use super::steps::{Place, Step};
use crate::io::{Inputs, Io, Kernel};
use crate::ops::affine::Number;
use crate::ops::packed::PackedRows;
use crate::target::Target;

/// A run of steps each of which grows or falls all along, so that each channel's code turns at one integer at most (see `Fused::is_threshold`); that
/// holds as long as no number of it leaves the range of f32.
pub struct Threshold<T> {
    pub isa: Isa,
    pub source: Binary<T>,
    pub relu: bool,
    pub steps: Vec<Step>,
    pub codes: Codes,
}

impl<T: Dot + Pod + Number + TryFrom<i32>> Threshold<T> {
    pub fn prepare(self, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
        let name = self.source.conv.threshold_kernel_name();
        let rows = PackedRows::of(io.outputs[0]);
        let pixels = self.source.strips.pixels();
        let (laid_words, per_lane) = (self.source.laid_words(), self.source.scratch_words());
        let layout = rows.layout(pixels);
        let bounds = 64 * layout.row_words();
        let bounds_words = bounds * size_of::<T>() / size_of::<u64>();
        let kernel = Arc::new(self);
        let same = Arc::clone(&kernel);
        let prologue: Kernel = Box::new(move |io| {
            let (laid, bounds) = io.resident_mut::<u64>().split_at_mut(laid_words);
            same.source.lay(io.inputs(), laid);
            let (low, high) = bounds.split_at_mut(bounds_words);
            same.lay_bounds(io.inputs(), layout, bytemuck::cast_slice_mut(low), bytemuck::cast_slice_mut(high));
        });
        let run = move |io: &Io<'_>| {
            let (laid, bounds) = io.resident::<u64>().split_at(laid_words);
            let (low, high) = bounds.split_at(bounds_words);
            let [low, high]: [&[T]; 2] = [low, high].map(bytemuck::cast_slice);
            let inputs = io.inputs();
            io.threads().for_chunks_with(io.output(0), layout.len(), io.scratch(), per_lane, |i, out, scratch| {
                let dots = kernel.source.dots(inputs, laid, i, scratch);
                pack_between(kernel.isa, dots, low, high, layout, out);
            });
        };
        let bytes = (laid_words + 2 * bounds_words) * size_of::<u64>();
        let scratch = target.threads * per_lane * size_of::<u64>();
        Ok(Prepared { kernel: Box::new(run), name, scratch, prologue: Some(Prologue { kernel: prologue, bytes }) })
    }

    /// The bounds of all channels as [`pack_between`] takes them.
    fn lay_bounds(&self, inputs: &Inputs<'_>, layout: BitLayout, low: &mut [T], high: &mut [T]) {
        let number = |d: i32| T::try_from(d).unwrap_or_default();
        low.fill(number(1));
        high.fill(number(0));
        for (channel, (from, to)) in self.bounds(inputs).into_iter().enumerate() {
            let (word, bit) = layout.position(0, channel / layout.channels, channel % layout.channels);
            (low[64 * word + bit], high[64 * word + bit]) = (number(from), number(to));
        }
    }

    /// The least and the largest integer of each channel whose bit is 1: found by trying the steps themselves, so that every rounding is in it.
    fn bounds(&self, inputs: &Inputs<'_>) -> Vec<(i32, i32)> {
        let bound = self.source.conv.dot_bound() as i32;
        let channels = self.source.conv.geometry().all_out_channels();
        let (mut below, mut above) = (vec![-bound; channels], vec![bound; channels]);
        let (first, last) = (self.bits(inputs, &below), self.bits(inputs, &above));
        while below.iter().zip(&above).any(|(below, above)| above - below > 1) {
            let middle: Vec<i32> = below.iter().zip(&above).map(|(below, above)| (below + above) / 2).collect();
            let bits = self.bits(inputs, &middle);
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
        (0..channels).map(interval).collect()
    }

    /// The bit of each channel for one integer each.
    fn bits(&self, inputs: &Inputs<'_>, dots: &[i32]) -> Vec<bool> {
        let dots: Vec<T> = dots.iter().map(|&d| T::try_from(d).unwrap_or_default()).collect();
        let mut y = vec![0.0; dots.len()];
        self.source.affine(inputs, &dots, self.relu, &mut y);
        let place = Place { inputs, pixel: 0, channels: dots.len() };
        self.steps.iter().for_each(|step| step.run(place, &mut y, &mut []));
        y.into_iter().map(|y| self.codes.bit(y)).collect()
    }
}
