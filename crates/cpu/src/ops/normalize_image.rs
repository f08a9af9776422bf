//! From pixels to floats.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::NormalizeImage;

use super::{elementwise::CHUNK, plain};
use crate::io::Kernel;

/// A pixel has 256 values, so a table for each channel holds every result.
pub fn prepare(op: &NormalizeImage) -> Prepared<Kernel> {
    let table =
        |(mean, std): (&f64, &f64)| -> [f32; 256] { std::array::from_fn(|x| ((x as f64 / 255.0 - mean) / std) as f32) };
    let tables: Vec<[f32; 256]> = op.mean.iter().zip(&op.std).map(table).collect();
    let chunk = CHUNK.next_multiple_of(tables.len().max(1));
    plain("table", move |io| {
        let x = io.input::<u8>(0);
        io.threads().for_chunks(io.output::<f32>(0), chunk, |i, y| {
            let pixels = y.chunks_exact_mut(tables.len()).zip(x[i * chunk..].chunks_exact(tables.len()));
            for (y, x) in pixels {
                y.iter_mut().zip(x).zip(&tables).for_each(|((y, &x), table)| *y = table[usize::from(x)]);
            }
        });
    })
}
