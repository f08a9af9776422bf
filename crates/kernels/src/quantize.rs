//! Floats to bytes.

use crate::Isa;

/// A number at which floats lie 1 apart, so that adding it rounds to an integer, ties to even, which the lowest bits of the sum are.
const UNIT: f32 = 12_582_912.0;

/// `y = clamp(round_half_even(fl(factor·x)) + zero, 0, 255)` of runs of `run` numbers that start `step` apart; a NaN becomes 0.
///
/// # Panics
/// If x does not have as many runs as y, or they overlap.
pub fn quantize(isa: Isa, x: &[f32], [run, step]: [usize; 2], factor: f32, zero: u8, y: &mut [u8]) {
    assert!(0 < run && run <= step, "runs of {run} numbers {step} apart");
    assert!(y.is_empty() || (y.len() / run - 1) * step + run <= x.len(), "length of the bytes");
    // A number between integers rounds to one of the two, so it may be clamped before.
    let (low, high) = (-f32::from(zero), f32::from(u8::MAX - zero));
    isa.vectorize(
        #[inline(always)]
        || {
            for (y, x) in y.chunks_exact_mut(run).zip(x.chunks(step)) {
                for (y, &x) in y.iter_mut().zip(x) {
                    let x = factor * x;
                    // No NaN is above a bound.
                    let x = if x > low { x } else { low };
                    let x = if x < high { x } else { high };
                    *y = ((x + UNIT).to_bits() as u8).wrapping_add(zero);
                }
            }
        },
    );
}
