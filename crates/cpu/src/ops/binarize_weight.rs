//! Latent weights to bits and scales.

use binary_nets_bits::words;
use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::{BinarizeWeight, WeightScale};
use binary_nets_kernels::pack_weights;

use super::conv2d::extents;
use super::plain;
use crate::{io::Kernel, target::Target};

/// Sums of f64 side by side: so many additions hide each other's latency, on every instruction set in the same order.
const LANES: usize = 16;
/// Scales of one chunk.
const SCALES: usize = 8;

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
                io.threads().for_chunks(alpha, SCALES, |i, alpha| {
                    for (alpha, w) in alpha.iter_mut().zip(w[i * SCALES * part..].chunks_exact(part)) {
                        *alpha = isa.vectorize(
                            #[inline(always)]
                            || mean_magnitude(w),
                        );
                    }
                });
            }
        }
    }))
}

/// Chunks in which the outputs are packed.
const PACKS: usize = 16;

/// `mean |w|`: every sixteenth weight from each of the first sixteen on summed in f64, ascending, then those sums, rounded once.
#[inline(always)]
fn mean_magnitude(w: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (rows, rest) = w.as_chunks::<LANES>();
    for row in rows {
        for (sum, w) in sums.iter_mut().zip(row) {
            *sum += f64::from(w.abs());
        }
    }
    for (sum, w) in sums.iter_mut().zip(rest) {
        *sum += f64::from(w.abs());
    }
    (sums.iter().sum::<f64>() / w.len() as f64) as f32
}
