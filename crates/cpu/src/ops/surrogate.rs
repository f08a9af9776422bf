//! Pseudo-gradients of the binarising activations.

use binary_nets_exec::Prepared;
use binary_nets_graph::ops::{QuantizeSlope, QuantizedSlopeGrad, SurrogateGrad, SurrogateSlope};
use binary_nets_kernels::Isa;

use super::elementwise::{self, CHUNK, part};
use super::{in_place, plain};
use crate::io::Kernel;
use crate::target::Target;
use crate::threads::Threads;

pub fn prepare(op: &SurrogateGrad, target: Target) -> Prepared<Kernel> {
    let (isa, gradient) = (target.isa, op.gradient);
    let kernel = plain(isa.name(), move |io| {
        let (threads, dx) = (io.threads(), io.output::<f32>(0));
        let operands = [io.unless_replaced(0), io.unless_replaced(1)];
        match gradient {
            SurrogateSlope::Approx => elementwise::zip(isa, threads, dx, operands, |x, g| {
                let slope = 2.0 - 2.0 * x.abs();
                if x.abs() <= 1.0 { g * slope } else { 0.0 }
            }),
            SurrogateSlope::Swish { beta } => {
                let beta = f64::from(beta);
                elementwise::zip(isa, threads, dx, operands, |x, g| (f64::from(g) * swish(beta, f64::from(x))) as f32);
            }
        }
    });
    in_place(&[1, 0], kernel)
}

pub fn prepare_quantize(op: &QuantizeSlope, target: Target) -> Prepared<Kernel> {
    let (isa, gradient) = (target.isa, op.gradient);
    let (unit, zero) = gradient.unit_and_zero();
    let zero = NEAREST + f32::from(zero);
    plain(isa.name(), move |io| {
        let (threads, x, slopes) = (io.threads(), io.input(0), io.output(0));
        match gradient {
            SurrogateSlope::Approx => {
                // Beyond 1 the slope would be below 0; a NaN has none.
                let steps = 1.0 / unit;
                quantize(isa, threads, x, slopes, |x| (2.0 - 2.0 * x.abs()).max(0.0) * steps + zero);
            }
            SurrogateSlope::Swish { beta } => {
                let (beta, steps) = (f64::from(beta), 1.0 / f64::from(unit));
                quantize(isa, threads, x, slopes, |x| {
                    let x = if x.is_nan() { f32::INFINITY } else { x };
                    (swish(beta, f64::from(x)) * steps) as f32 + zero
                });
            }
        }
    })
}

/// Added to a number below 2²² it leaves the nearest integer in the lowest bits.
const NEAREST: f32 = 12_582_912.0;

/// The lowest bits of `f(x)`.
fn quantize(isa: Isa, threads: Threads, x: &[f32], bytes: &mut [u8], f: impl Fn(f32) -> f32 + Sync) {
    threads.for_chunks(bytes, CHUNK, |i, bytes| {
        let x = part(x, i, bytes.len());
        isa.vectorize(
            #[inline(always)]
            || bytes.iter_mut().zip(x).for_each(|(byte, &x)| *byte = f(x).to_bits() as u8),
        );
    });
}

pub fn prepare_quantized(op: &QuantizedSlopeGrad, target: Target) -> Prepared<Kernel> {
    let (isa, (unit, zero)) = (target.isa, op.gradient.unit_and_zero());
    let zero = f32::from(zero);
    let kernel = plain(isa.name(), move |io| {
        let (slopes, dy): (&[u8], Option<&[f32]>) = (io.input(0), io.unless_replaced(1));
        io.threads().for_chunks(io.output::<f32>(0), CHUNK, |i, dx| {
            let (slopes, dy) = (part(slopes, i, dx.len()), dy.map(|dy| part(dy, i, dx.len())));
            isa.vectorize(
                #[inline(always)]
                || match dy {
                    Some(dy) => dx
                        .iter_mut()
                        .zip(slopes)
                        .zip(dy)
                        .for_each(|((dx, &s), &dy)| *dx = dy * ((f32::from(s) - zero) * unit)),
                    None => dx.iter_mut().zip(slopes).for_each(|(dx, &s)| *dx *= (f32::from(s) - zero) * unit),
                },
            );
        });
    });
    in_place(&[1], kernel)
}

/// `β(2 − z·tanh(z/2)) / (1 + cosh z)` with `z = β|x|`, written in `e = exp(−z)`, which cannot overflow:
/// `1 + cosh z = (1 + e)²/2e` and `tanh(z/2) = (1 − e)/(1 + e)`.
#[inline(always)]
fn swish(beta: f64, x: f64) -> f64 {
    let z = beta * x.abs();
    // From here on nothing is left that f32 holds. A NaN stays one.
    let z = if z > 200.0 { 200.0 } else { z };
    let e = exp_minus(z);
    let sum = 1.0 + e;
    beta * 2.0 * e / (sum * sum) * (2.0 - z * (1.0 - e) / sum)
}

/// `exp(−z)` of z from 0 to 200 without a call or a branch, so that the loop becomes vector code.
///
/// With n the integer that is nearest to `z/ln 2`: `exp(−z) = 2⁻ⁿ·exp(r)`, `r = n·ln 2 − z`. Twelve terms of the series leave 1e−14 of it.
#[inline(always)]
fn exp_minus(z: f64) -> f64 {
    /// Added to a number below 2⁵¹ it leaves the nearest integer in the lowest bits.
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
    const ONE: u64 = 1f64.to_bits();
    const INVERSE: [f64; 11] = {
        let mut inverse = [1.0; 11];
        let mut i = 1;
        while i < inverse.len() {
            inverse[i] = 1.0 / (i + 1) as f64;
            i += 1;
        }
        inverse
    };
    let n = z * std::f64::consts::LOG2_E + TO_INTEGER;
    let r = (n - TO_INTEGER) * std::f64::consts::LN_2 - z;
    let series = INVERSE.iter().rev().fold(1.0, |sum, inverse| 1.0 + sum * (r * inverse));
    f64::from_bits(ONE.wrapping_sub(n.to_bits() << 52)) * series
}

#[cfg(test)]
mod tests {
    use super::{exp_minus, swish};

    #[test]
    fn the_exponential_agrees_with_that_of_the_library() {
        for i in 0..=200_000 {
            let z = f64::from(i) * 1e-3;
            assert!((exp_minus(z) / (-z).exp() - 1.0).abs() < 1e-13, "{z}");
        }
    }

    #[test]
    fn far_away_the_slope_is_nothing_and_a_nan_stays_one() {
        for beta in [1e-3, 5.0, f64::from(f32::MAX)] {
            assert_eq!(swish(beta, f64::from(f32::MAX)) as f32, 0.0, "β {beta}");
            assert_eq!(swish(beta, 0.0), beta);
            assert!(swish(beta, f64::NAN).is_nan());
        }
    }
}
