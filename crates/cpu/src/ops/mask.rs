//! Masks, kept as bits.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{ApplyMask, IntervalMask};

use super::packed::{PackedRows, for_half_words, input_rows, lane_mask, pack_row};
use super::plain;
use crate::{io::Kernel, target::Target};

pub fn prepare_apply(op: &ApplyMask, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, scale) = (target.isa, input_rows(io, 0), op.scale);
    plain(isa.name(), move |io| {
        let (mask, x) = (io.input::<u64>(0), io.input::<f32>(1));
        io.threads().for_chunks(io.output(0), rows.chunk(), |i, y| {
            let mask = mask[i * rows.chunk_words()..].chunks_exact(rows.row_words());
            let x = x[i * rows.chunk()..].chunks_exact(rows.channels);
            isa.vectorize(
                #[inline(always)]
                || {
                    for ((y, x), mask) in y.chunks_exact_mut(rows.channels).zip(x).zip(mask) {
                        for_half_words(mask, y, x, |bits, y, x| {
                            for (lane, (y, x)) in y.iter_mut().zip(x).enumerate() {
                                *y = f32::from_bits((scale * x).to_bits() & lane_mask(bits, lane));
                            }
                        });
                    }
                },
            );
        });
    })
}

pub fn prepare_interval(op: &IntervalMask, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, inside) = (target.isa, PackedRows::of(io.outputs[0]), op.min..=op.max);
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(0);
        io.threads().for_chunks(io.output(0), rows.chunk_words(), |i, words| {
            let x = x[i * rows.chunk()..].chunks_exact(rows.channels);
            isa.vectorize(
                #[inline(always)]
                || {
                    for (words, x) in words.chunks_exact_mut(rows.row_words()).zip(x) {
                        pack_row(words, x, |x: f32| inside.contains(&x));
                    }
                },
            );
        });
    })
}
