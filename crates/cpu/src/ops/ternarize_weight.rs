//! Latent weights to ternary ones, and back.

use binary_nets_bits::words;
use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{NegativeGradient, TernarizeWeight, TernarizeWeightGrad};
use binary_nets_kernels::pack_weight_bits;

use super::conv2d::extents;
use super::elementwise::CHUNK;
use crate::{io::Kernel, target::Target};

/// Chunks in which the outputs are packed.
const PACKS: usize = 16;

pub fn prepare(op: &TernarizeWeight, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let [outputs, channels, kh, kw] = extents(io.inputs[0]);
    let (isa, threshold) = (target.isa, op.threshold as f32);
    let taps = kh * kw;
    let output_words = taps * words(channels);
    let maxima = (outputs * channels * taps).div_ceil(CHUNK);
    let kernel: Kernel = Box::new(move |io| {
        let (w, positive, negative): (&[f32], &mut [u64], &mut [u64]) = (io.input(0), io.output(0), io.output(1));
        // Magnitudes as their bits: those are ordered alike, with NaN above all, and integers become vector code.
        let maxima: &mut [u32] = io.scratch();
        io.threads().for_chunks(maxima, 1, |i, max| {
            let w = w.chunks(CHUNK).nth(i).unwrap_or_default();
            max[0] = isa.vectorize(
                #[inline(always)]
                || w.iter().fold(0, |max, w| max.max(w.abs().to_bits())),
            );
        });
        let delta = threshold * f32::from_bits(maxima.iter().fold(0, |a, &b| a.max(b)));
        let per_chunk = outputs.div_ceil(PACKS);
        let chunk = per_chunk * output_words;
        io.threads().for_chunks2((positive, chunk), (negative, chunk), |i, positive, negative| {
            let outputs = positive.len() / output_words;
            let w = &w[i * per_chunk * channels * taps..][..outputs * channels * taps];
            pack_weight_bits(isa, w, [outputs, channels, taps], |w| w > delta, positive);
            pack_weight_bits(isa, w, [outputs, channels, taps], |w| w < -delta, negative);
        });
    });
    Prepared { kernel, name: isa.name(), scratch: maxima * size_of::<u32>(), prologue: None, in_place: None }
}

/// Sums are f64, ascending over the taps of each channel of an output, then over the outputs, and rounded once.
pub fn prepare_grad(op: &TernarizeWeightGrad, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let [outputs, channels, kh, kw] = extents(io.inputs[4]);
    let taps = kh * kw;
    let row = words(channels);
    let negative_sign = match op.negative_gradient {
        NegativeGradient::Exact => -1.0,
        NegativeGradient::Published => 1.0,
    };
    let kernel: Kernel = Box::new(move |io| {
        let planes: [&[u64]; 2] = [io.input(0), io.input(1)];
        let (w_p, w_n, dq): (f32, f32, &[f32]) = (io.number(2), io.number(3), io.input(4));
        let sums: &mut [[f64; 2]] = io.scratch();
        let dw = (io.output::<f32>(0), channels * taps);
        io.threads().for_chunks2(dw, (&mut *sums, 1), |o, dw, sums| {
            let dq = &dq[o * channels * taps..][..channels * taps];
            let [positive, negative] = planes.map(|plane| &plane[o * taps * row..][..taps * row]);
            let mut sum = [0.0; 2];
            for (channel, (dw, dq)) in dw.chunks_exact_mut(taps).zip(dq.chunks_exact(taps)).enumerate() {
                let (word, bit) = (channel / 64, channel % 64);
                for (tap, (dw, &dq)) in dw.iter_mut().zip(dq).enumerate() {
                    let is_set = |plane: &[u64]| plane[tap * row + word] >> bit & 1 == 1;
                    *dw = if is_set(positive) {
                        sum[0] += f64::from(dq);
                        w_p * dq
                    } else if is_set(negative) {
                        sum[1] += f64::from(dq);
                        w_n * dq
                    } else {
                        dq
                    };
                }
            }
            sums[0] = sum;
        });
        let total = |side: usize| sums.iter().map(|sum| sum[side]).sum::<f64>();
        io.output::<f32>(1)[0] = total(0) as f32;
        io.output::<f32>(2)[0] = (negative_sign * total(1)) as f32;
    });
    Prepared {
        kernel,
        name: target.isa.name(),
        scratch: outputs * size_of::<[f64; 2]>(),
        prologue: None,
        in_place: None,
    }
}
