//! Dropout.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::Dropout;

use super::{packed::PackedRows, plain};
use crate::{io::Kernel, target::Target};

pub fn prepare(op: &Dropout, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (op, rows, scale) = (op.clone(), PackedRows::of(io.outputs[1]), op.scale());
    plain(target.isa.name(), move |io| {
        let (x, (seed, step)) = (io.input::<f32>(0), io.run());
        let (y, mask) = (io.output::<f32>(0), io.output::<u64>(1));
        io.threads().for_chunks2((y, rows.chunk()), (mask, rows.chunk_words()), |i, y, mask| {
            let mut index = i * rows.chunk();
            for (y, words) in y.chunks_exact_mut(rows.channels).zip(mask.chunks_exact_mut(rows.row_words())) {
                words.fill(0);
                for (k, y) in y.iter_mut().enumerate() {
                    let passes = op.passes(seed, step, index as u64);
                    words[k / 64] |= u64::from(passes) << (k % 64);
                    *y = if passes { x[index] * scale } else { 0.0 };
                    index += 1;
                }
            }
        });
    })
}
