//! Whether numbers are finite.

use binary_nets_exec::{IoMeta, Prepared};

use crate::io::Kernel;
use crate::target::Target;

/// Elements in one piece of work.
const CHUNK: usize = 1 << 14;

/// The bits of an exponent; all of them are set in infinities and NaNs alone.
const EXPONENT: u32 = 0x7f80_0000;

pub fn prepare(io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let isa = target.isa;
    let chunks: Vec<usize> = io.inputs.iter().map(|x| x.shape.elements().div_ceil(CHUNK)).collect();
    let scratch = chunks.iter().max().map_or(0, |most| most * size_of::<u32>());
    let kernel: Kernel = Box::new(move |io| {
        let wrong = io.scratch::<u32>();
        let mut all = true;
        for (i, &chunks) in chunks.iter().enumerate() {
            let (x, wrong) = (io.input::<f32>(i), &mut wrong[..chunks]);
            io.threads().for_chunks(wrong, 1, |chunk, wrong| {
                let x = &x[chunk * CHUNK..x.len().min((chunk + 1) * CHUNK)];
                isa.vectorize(
                    #[inline(always)]
                    || {
                        wrong[0] = x.iter().fold(0, |wrong, x| wrong | u32::from(x.to_bits() & EXPONENT == EXPONENT));
                    },
                );
            });
            all &= wrong.iter().all(|&wrong| wrong == 0);
        }
        io.output::<f32>(0)[0] = if all { 1.0 } else { 0.0 };
    });
    Prepared { kernel, name: isa.name(), scratch, prologue: None, in_place: None }
}
