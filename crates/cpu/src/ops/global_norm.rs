//! The norm of all gradients.

use binary_nets_exec::{IoMeta, Prepared};

use super::elementwise::CHUNK;
use crate::{io::Kernel, target::Target};

/// Sums that run side by side.
const LANES: usize = 16;

pub fn prepare(io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    let chunks: Vec<usize> = io.inputs.iter().map(|x| x.shape.elements().div_ceil(CHUNK)).collect();
    let scratch = chunks.iter().max().map_or(0, |most| most * size_of::<f64>());
    let kernel: Kernel = Box::new(move |io| {
        let sums = io.scratch::<f64>();
        let mut sum = 0.0;
        for (i, &chunks) in chunks.iter().enumerate() {
            let (x, sums) = (io.input::<f32>(i), &mut sums[..chunks]);
            io.threads().for_chunks(sums, 1, |chunk, sum| {
                let x = &x[chunk * CHUNK..x.len().min((chunk + 1) * CHUNK)];
                isa.vectorize(
                    #[inline(always)]
                    || sum[0] = sum_of_squares(x),
                );
            });
            sum = sums.iter().fold(sum, |all, sum| all + sum);
        }
        io.output::<f32>(0)[0] = sum.sqrt() as f32;
    });
    Prepared { kernel, name: isa.name(), scratch, prologue: None, in_place: None }
}

/// Element i goes to sum i modulo [`LANES`]; then the sums are added in order.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks.iter().map(|block| &block[..]).chain([rest]) {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    sums.iter().sum()
}
