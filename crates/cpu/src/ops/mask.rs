//! Masks, kept as bits.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{ApplyMask, IntervalMask};
use binary_nets_kernels::pack_inside;

use super::packed::{PackedRows, input_rows, map_bits, map_bits_in_place};
use super::{in_place, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare_apply(op: &ApplyMask, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, scale) = (target.isa, input_rows(io, 0), op.scale);
    let masked = move |bit: u32, x: f32| f32::from_bits((scale * x).to_bits() & bit);
    let kernel = plain(isa.name(), move |io| {
        let (mask, x) = (io.input::<u64>(0), io.unless_replaced::<f32>(1));
        io.threads().for_chunks(io.output(0), rows.chunk(), |i, y| {
            let rows_of_y = y.chunks_exact_mut(rows.channels);
            let rows_of_y = rows_of_y.zip(mask[i * rows.chunk_words()..].chunks_exact(rows.row_words()));
            isa.vectorize(
                #[inline(always)]
                || match x {
                    Some(x) => {
                        for ((y, mask), x) in rows_of_y.zip(x[i * rows.chunk()..].chunks_exact(rows.channels)) {
                            map_bits(mask, y, x, masked);
                        }
                    }
                    None => rows_of_y.for_each(|(y, mask)| map_bits_in_place(mask, y, masked)),
                },
            );
        });
    });
    in_place(&[1], kernel)
}

pub fn prepare_interval(op: &IntervalMask, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows, interval) = (target.isa, PackedRows::of(io.outputs[0]), op.min..=op.max);
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(0);
        io.threads().for_chunks(io.output(0), rows.chunk_words(), |i, words| {
            let layout = rows.layout(words.len() / rows.row_words());
            let x = &x[i * rows.chunk()..][..layout.rows * rows.channels];
            pack_inside(isa, &interval, x, layout, words);
        });
    })
}
