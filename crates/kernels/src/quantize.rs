//! Floats to bytes.

use crate::Isa;

/// A number at which floats lie 1 apart, so that adding it rounds to an integer, ties to even, which the lowest bits of the sum are.
const UNIT: f32 = 12_582_912.0;

/// `y = clamp(round_half_even(fl(factor·x)) + zero, 0, 255)`; a NaN becomes 0.
///
/// # Panics
/// If the lengths differ.
pub fn quantize(isa: Isa, x: &[f32], factor: f32, zero: u8, y: &mut [u8]) {
    assert_eq!(x.len(), y.len(), "length of the bytes");
    // A number between integers rounds to one of the two, so it may be clamped before.
    let (low, high) = (-f32::from(zero), f32::from(u8::MAX - zero));
    isa.vectorize(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                let x = factor * x;
                // No NaN is above a bound.
                let x = if x > low { x } else { low };
                let x = if x < high { x } else { high };
                *y = ((x + UNIT).to_bits() as u8).wrapping_add(zero);
            }
        },
    );
}
