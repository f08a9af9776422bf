//! Weights of float products in fewer bits. All this runs once.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Dequantize, QuantizeWeight};
use half::f16;

use super::blocks::Blocks;
use super::plain;
use crate::io::Kernel;

pub fn prepare_half() -> Prepared<Kernel> {
    plain("plain", |io| {
        let (w, y) = (io.input::<f32>(0), io.output::<f32>(0));
        y.iter_mut().zip(w).for_each(|(y, &w)| *y = f16::from_f32(w).to_f32());
    })
}

/// The scale that each element along an axis has.
fn channels(blocks: Blocks) -> impl Iterator<Item = usize> {
    (0..blocks.extent).flat_map(move |channel| std::iter::repeat_n(channel, blocks.inner)).cycle()
}

pub fn prepare_quantize(op: &QuantizeWeight, io: &IoMeta) -> Prepared<Kernel> {
    let blocks = Blocks::around(&io.inputs[0].shape, op.axis);
    plain("plain", move |io| {
        let (w, q, scales): (&[f32], &mut [i16], &mut [f32]) = (io.input(0), io.output(0), io.output(1));
        scales.fill(0.0);
        for (w, channel) in w.iter().zip(channels(blocks)) {
            let largest = &mut scales[channel];
            // NaN compares with nothing: it stays.
            if w.is_nan() || w.abs() > *largest {
                *largest = w.abs();
            }
        }
        for s in &mut *scales {
            *s = (f64::from(*s) / 127.0) as f32;
        }
        for ((q, &w), channel) in q.iter_mut().zip(w).zip(channels(blocks)) {
            let s = scales[channel];
            let rounded = (f64::from(w) / f64::from(s)).round_ties_even().clamp(-127.0, 127.0);
            *q = if s == 0.0 { 0 } else { rounded as i16 };
        }
    })
}

pub fn prepare_dequantize(op: &Dequantize, io: &IoMeta) -> Prepared<Kernel> {
    let blocks = Blocks::around(&io.inputs[0].shape, op.axis);
    plain("plain", move |io| {
        let (q, scales, y): (&[i16], &[f32], &mut [f32]) = (io.input(0), io.input(1), io.output(0));
        for ((y, &q), channel) in y.iter_mut().zip(q).zip(channels(blocks)) {
            *y = scales[channel] * f32::from(q);
        }
    })
}
