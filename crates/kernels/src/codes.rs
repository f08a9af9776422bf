//! Packers between f32 and bits, by the layout law of `binary_nets_bits`.

use std::ops::RangeInclusive;

use crate::binary_conv2d::Dot;
use crate::{arch::scalar::Scalar, isa::Isa, vector::Floats, vector::Integers};
use binary_nets_bits::{BitLayout, Codes, words};

/// Packs `x: [rows, groups · channels]` into `out: [rows, groups, words]`.
///
/// # Panics
/// If a slice does not have exactly the length that `layout` gives.
pub fn pack_codes(isa: Isa, codes: Codes, x: &[f32], layout: BitLayout, out: &mut [u64]) {
    assert_eq!(x.len(), layout.rows * layout.row_channels(), "length of x");
    assert_eq!(out.len(), layout.len(), "length of the packed output");
    match isa {
        Isa::Scalar => pack(Scalar, codes, x, layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(token) => pack(token, codes, x, layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(token) => pack(token, codes, x, layout, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(token) => pack(token, codes, x, layout, out),
    }
}

/// Packs whether numbers `x: [rows, groups · channels]` lie in an interval, with its ends, into `out: [rows, groups, words]`; a NaN does not.
///
/// # Panics
/// If a slice does not have exactly the length that `layout` gives.
pub fn pack_inside(isa: Isa, interval: &RangeInclusive<f32>, x: &[f32], layout: BitLayout, out: &mut [u64]) {
    assert_eq!(x.len(), layout.rows * layout.row_channels(), "length of x");
    assert_eq!(out.len(), layout.len(), "length of the packed output");
    match isa {
        Isa::Scalar => inside(Scalar, interval, x, layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(token) => inside(token, interval, x, layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(token) => inside(token, interval, x, layout, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(token) => inside(token, interval, x, layout, out),
    }
}

/// Packs the signs of weights `w: [outputs, channels, taps]` into `out: [outputs, taps, words]`; bit 1 is −1.
///
/// # Panics
/// If a slice does not have exactly that length.
pub fn pack_weights(isa: Isa, w: &[f32], outputs: usize, channels: usize, taps: usize, out: &mut [u64]) {
    if taps == 1 {
        pack_codes(isa, Codes::Sign, w, BitLayout { rows: outputs, groups: 1, channels }, out);
    } else {
        pack_weight_bits(isa, w, [outputs, channels, taps], |w| w < 0.0, out);
    }
}

/// Packs `bit(w)` of weights `w: [outputs, channels, taps]` into `out: [outputs, taps, words]`.
///
/// # Panics
/// If a slice does not have exactly that length.
pub fn pack_weight_bits(
    isa: Isa,
    w: &[f32],
    [outputs, channels, taps]: [usize; 3],
    bit: impl Fn(f32) -> bool,
    out: &mut [u64],
) {
    assert_eq!(w.len(), outputs * channels * taps, "length of w");
    assert_eq!(out.len(), outputs * taps * words(channels), "length of the packed weights");
    match taps {
        1 => isa.vectorize(
            #[inline(always)]
            || pack_taps::<1>(w, channels, bit, out),
        ),
        9 => isa.vectorize(
            #[inline(always)]
            || pack_taps::<9>(w, channels, bit, out),
        ),
        _ => pack_any_taps(w, channels, taps, bit, out),
    }
}

/// Packs `low ≤ d ≤ high` of integers `d: [rows, groups · channels]` into `out: [rows, groups, words]`. The bounds are `[groups, 64 · words]`; behind the
/// channels of a group stands an interval that holds nothing, for there the integers of the next one are compared.
///
/// # Panics
/// If a slice does not have exactly the length that `layout` gives.
pub fn pack_between<T: Dot>(isa: Isa, d: &[T], low: &[T], high: &[T], layout: BitLayout, out: &mut [u64]) {
    assert_eq!(d.len(), layout.rows * layout.row_channels(), "length of d");
    assert_eq!([low.len(), high.len()], [64 * layout.row_words(); 2], "length of the bounds");
    assert_eq!(out.len(), layout.len(), "length of the packed output");
    match isa {
        Isa::Scalar => between(Scalar, d, [low, high], layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(token) => between(token, d, [low, high], layout, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(token) => between(token, d, [low, high], layout, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(token) => between(token, d, [low, high], layout, out),
    }
}

#[inline(always)]
fn between<S: Integers, T: Dot>(token: S, d: &[T], [low, high]: [&[T]; 2], layout: BitLayout, out: &mut [u64]) {
    token.vectorize(
        #[inline(always)]
        || {
            if layout.is_empty() {
                return;
            }
            let bounds = || low.as_chunks::<64>().0.iter().zip(high.as_chunks::<64>().0);
            for (row, out) in out.chunks_exact_mut(layout.row_words()).enumerate() {
                let row = &d[row * layout.row_channels()..];
                for (i, (out, (low, high))) in out.iter_mut().zip(bounds()).enumerate() {
                    let d = &row[i / layout.words() * layout.channels + i % layout.words() * 64..];
                    *out = if let Some(d) = d.first_chunk() {
                        T::between(token, d, low, high)
                    } else {
                        let mut last = [T::default(); 64];
                        last[..d.len()].copy_from_slice(d);
                        T::between(token, &last, low, high)
                    };
                }
            }
        },
    );
}

#[inline(always)]
fn pack<S: Floats>(token: S, codes: Codes, x: &[f32], layout: BitLayout, out: &mut [u64]) {
    match codes {
        Codes::Sign => pack_by(
            token,
            #[inline(always)]
            |x| word(token, S::negative, x),
            x,
            layout,
            out,
        ),
        Codes::Step => pack_by(
            token,
            #[inline(always)]
            |x| word(token, S::positive, x),
            x,
            layout,
            out,
        ),
    }
}

#[inline(always)]
#[allow(clippy::needless_bitwise_bool, reason = "what may be skipped does not become vector code")]
fn inside<S: Floats>(token: S, interval: &RangeInclusive<f32>, x: &[f32], layout: BitLayout, out: &mut [u64]) {
    let (min, max) = (*interval.start(), *interval.end());
    pack_by(
        token,
        #[inline(always)]
        |x| {
            // Comparisons become vector code where their results are floats again.
            let mut ones = [0.0; 64];
            for (one, &x) in ones.iter_mut().zip(x) {
                *one = if (x >= min) & (x <= max) { 1.0 } else { 0.0 };
            }
            word(token, S::positive, &ones)
        },
        x,
        layout,
        out,
    );
}

/// Packs what `word` makes of 64 numbers; a NaN has bit 0 whatever is asked, so the last ones are packed with NaNs behind them.
#[inline(always)]
fn pack_by<S: Floats>(token: S, word: impl Fn(&[f32; 64]) -> u64, x: &[f32], layout: BitLayout, out: &mut [u64]) {
    token.vectorize(
        #[inline(always)]
        || {
            if layout.is_empty() {
                return;
            }
            for (x, out) in x.chunks_exact(layout.channels).zip(out.chunks_exact_mut(layout.words())) {
                // As many vectors as a constant says: code without a loop.
                let (full, tail) = x.as_chunks::<64>();
                let (out, last) = out.split_at_mut(full.len());
                for (x, out) in full.iter().zip(out) {
                    *out = word(x);
                }
                if let [last] = last {
                    let mut padded = [f32::NAN; 64];
                    padded[..tail.len()].copy_from_slice(tail);
                    *last = word(&padded);
                }
            }
        },
    );
}

/// A bit for each number.
#[inline(always)]
fn word<S: Floats>(token: S, mask: impl Fn(S, S::F32) -> u64, x: &[f32; 64]) -> u64 {
    let mut word = 0;
    for (i, x) in x.chunks_exact(S::LANES).enumerate() {
        word |= mask(token, token.load(x)) << (i * S::LANES);
    }
    word
}

/// Channels outermost, so that the loop over taps reads memory in order and becomes vector code.
#[inline(always)]
fn pack_taps<const TAPS: usize>(w: &[f32], channels: usize, bit: impl Fn(f32) -> bool, out: &mut [u64]) {
    let words = words(channels);
    if words == 0 {
        return;
    }
    for (w, out) in w.chunks_exact(channels * TAPS).zip(out.chunks_exact_mut(TAPS * words)) {
        for (word, w) in w.chunks(64 * TAPS).enumerate() {
            let mut bits = [0; TAPS];
            for (channel, w) in w.chunks_exact(TAPS).enumerate() {
                let one = 1 << channel;
                for (bits, &w) in bits.iter_mut().zip(w) {
                    *bits |= if bit(w) { one } else { 0 };
                }
            }
            for (tap, bits) in bits.into_iter().enumerate() {
                out[tap * words + word] = bits;
            }
        }
    }
}

fn pack_any_taps(w: &[f32], channels: usize, taps: usize, bit: impl Fn(f32) -> bool, out: &mut [u64]) {
    let words = words(channels);
    out.fill(0);
    if out.is_empty() {
        return;
    }
    for (w, out) in w.chunks_exact(channels * taps).zip(out.chunks_exact_mut(taps * words)) {
        for (channel, w) in w.chunks_exact(taps).enumerate() {
            for (tap, &w) in w.iter().enumerate() {
                out[tap * words + channel / 64] |= u64::from(bit(w)) << (channel % 64);
            }
        }
    }
}
