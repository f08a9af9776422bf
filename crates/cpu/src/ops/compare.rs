//! Comparison and choice.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Compare, Comparison};

use super::packed::{PackedRows, input_rows};
use super::{plain, stretch::Stretch};
use crate::io::{Io, Kernel};
use crate::target::Target;

pub fn prepare(op: &Compare, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (comparison, rows) = (op.comparison, PackedRows::of(io.outputs[0]));
    let stretch = Stretch::new(&io.outputs[0].shape, [&io.inputs[0].shape, &io.inputs[1].shape], true);
    plain(target.isa.name(), move |io| match comparison {
        Comparison::Less => compare(rows, &stretch, io, |a, b| a < b),
        Comparison::LessEqual => compare(rows, &stretch, io, |a, b| a <= b),
        Comparison::Greater => compare(rows, &stretch, io, |a, b| a > b),
        Comparison::GreaterEqual => compare(rows, &stretch, io, |a, b| a >= b),
        Comparison::Equal => compare(rows, &stretch, io, |a, b| a == b),
    })
}

fn compare(rows: PackedRows, stretch: &Stretch<2>, io: &Io<'_>, holds: impl Fn(f32, f32) -> bool + Sync) {
    let (a, b, (_, [da, db])) = (io.input::<f32>(0), io.input::<f32>(1), stretch.inner());
    io.threads().for_chunks(io.output::<u64>(0), rows.chunk_words(), |i, words| {
        for (row, words) in (i * rows.chunk_words() / rows.row_words()..).zip(words.chunks_exact_mut(rows.row_words()))
        {
            let [a0, b0] = stretch.row(row);
            for (w, word) in words.iter_mut().enumerate() {
                let elements = w * 64..rows.channels.min(w * 64 + 64);
                let bit = |k: usize| u64::from(holds(a[a0 + k * da], b[b0 + k * db])) << (k % 64);
                *word = elements.fold(0, |word, k| word | bit(k));
            }
        }
    });
}

/// The kernel of [`binary_nets_graph::ops::Select`].
pub fn prepare_select(io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, rows) = (target.isa, input_rows(io, 0));
    let stretch = Stretch::new(&io.outputs[0].shape, [&io.inputs[1].shape, &io.inputs[2].shape], true);
    plain(isa.name(), move |io| {
        let (mask, a, b, (_, [da, db])) = (io.input::<u64>(0), io.input::<f32>(1), io.input::<f32>(2), stretch.inner());
        io.threads().for_chunks(io.output::<f32>(0), rows.chunk(), |i, y| {
            let first = i * rows.chunk() / rows.channels;
            isa.vectorize(
                #[inline(always)]
                || {
                    for (row, y) in (first..).zip(y.chunks_exact_mut(rows.channels)) {
                        let ([a0, b0], mask) = (stretch.row(row), &mask[row * rows.row_words()..]);
                        for (k, y) in y.iter_mut().enumerate() {
                            let bit = mask[k / 64] >> (k % 64) & 1 == 1;
                            *y = if bit { a[a0 + k * da] } else { b[b0 + k * db] };
                        }
                    }
                },
            );
        });
    })
}
