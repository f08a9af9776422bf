//! Latent weights to bits and scales.

use binary_nets_bits::words;
use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::{BinarizeWeight, WeightScale};
use binary_nets_kernels::pack_weights;

use super::conv2d::extents;
use super::plain;
use crate::{io::Kernel, target::Target};

/// Scales summed at a time: each is a chain of f64 additions, and so many chains hide each other's latency.
const CHAINS: usize = 8;

pub fn prepare(op: &BinarizeWeight, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let [outputs, channels, kh, kw] = extents(io.inputs[0]);
    let (isa, scale) = (target.isa, op.scale);
    let taps = kh * kw;
    let output_words = taps * words(channels);
    Ok(plain(isa.name(), move |io| {
        let (w, bits, alpha): (&[f32], &mut [u64], &mut [f32]) = (io.input(0), io.output(0), io.output(1));
        let per_chunk = outputs.div_ceil(PACKS);
        io.threads().for_chunks(bits, per_chunk * output_words, |i, bits| {
            let outputs = bits.len() / output_words;
            let w = &w[i * per_chunk * channels * taps..][..outputs * channels * taps];
            pack_weights(isa, w, outputs, channels, taps, bits);
        });
        match scale {
            WeightScale::None => alpha.fill(1.0),
            WeightScale::Tensor | WeightScale::Group | WeightScale::Channel => {
                let part = w.len() / alpha.len();
                io.threads().for_chunks(alpha, CHAINS, |i, alpha| means(&w[i * CHAINS * part..], part, alpha));
            }
        }
    }))
}

/// Chunks in which the outputs are packed.
const PACKS: usize = 16;

/// `mean |w|` of parts of `part` weights: summed in f64, ascending, rounded once.
fn means(w: &[f32], part: usize, alpha: &mut [f32]) {
    let mut sums = [0.0; CHAINS];
    let mut parts = [&w[..part]; CHAINS];
    for (i, slot) in parts.iter_mut().enumerate().take(alpha.len()) {
        *slot = &w[i * part..][..part];
    }
    for k in 0..part {
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += f64::from(part[k].abs());
        }
    }
    for (alpha, sum) in alpha.iter_mut().zip(sums) {
        *alpha = (sum / part as f64) as f32;
    }
}
