//! Binarising activations: packing codes.

use binary_nets_bits::Codes;
use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_kernels::pack_codes;

use super::{packed::PackedRows, plain};
use crate::{io::Kernel, target::Target};

/// Packs `x: [rows, c]` as codes. [`binary_nets_graph::ops::Step`] differs only in what a bit means.
pub fn prepare(codes: Codes, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows) = (target.isa, PackedRows::of(io.outputs[0]));
    plain(isa.name(), move |io| {
        let x = io.input(0);
        io.threads().for_chunks(io.output(0), rows.chunk_words(), |i, words| {
            let layout = rows.layout(words.len() / rows.row_words());
            pack_codes(isa, codes, &x[i * rows.chunk()..][..layout.rows * rows.channels], layout, words);
        });
    })
}
