//! The tile: P output pixels × N vectors of output channels, counted over the depth.
//!
//! With `x[i] = a[i] ^ w[i]`, the running parity of x is the running parity of a xor that of w: one xor, if both are stored so.
//! Two words then need only one popcount, that of the carry:
//!
//! ```text
//! parity = x[0]
//! for each pair (x[i], x[i+1]):  carry = majority(parity, x[i], x[i+1]);  ones += 2 · popcount(carry);  parity ^= x[i] ^ x[i+1]
//! ones += popcount(parity)
//! ```
//!
//! With `s[i]` the running parity after word i, `majority(s[i-1], x[i], x[i+1]) = s[i] ? !s[i+1] : s[i-1]`: a select, and the words
//! themselves are never formed. Where a select complements nothing ([`Words::COMPLEMENTS`]), s[2], s[6], s[10], … are stored complemented. Then one
//! and the same select gives the carry of a pair that ends there, and of the next pair the complement: its count is taken away, from that of a word of ones.

use super::{CHUNK, Dot, Job, border, gather};
use crate::vector::Words;

/// The whole job with tiles of `P` pixels × `N` vectors of channels.
#[inline(always)]
pub(super) fn run<S: Words, T: Dot, const P: usize, const N: usize>(token: S, mut job: Job<'_, T>) {
    let shape = job.shape;
    let (g, block) = (&shape.geometry, N * S::LANES);
    let channels = g.all_out_channels();
    let factor = shape.factor();
    let (first, end) = (job.rows.start * shape.out_size[1], job.rows.end * shape.out_size[1]);
    for start in (first..end).step_by(CHUNK / P * P) {
        let pixels = start..end.min(start + CHUNK / P * P);
        for group in 0..g.groups {
            gather::gather(shape, job.image, group, pixels.clone(), job.scratch);
            if S::COMPLEMENTS.is_some() {
                gather::complement(shape, job.scratch);
            }
            for tile_of_channels in 0..shape.blocks() {
                let laid = group * shape.blocks() + tile_of_channels;
                let weights = &job.laid.words[laid * shape.depth * block..][..shape.depth * block];
                let base = &job.laid.base[laid * block..][..block];
                let valid = block.min(g.out_channels - tile_of_channels * block);
                let channel = group * g.out_channels + tile_of_channels * block;
                for at in (0..pixels.len()).step_by(P) {
                    let counts = tile::<S, P, N>(token, job.scratch, at, weights);
                    let first_out = (pixels.start - first + at) * channels + channel;
                    let left = pixels.len() - at;
                    for (p, counts) in counts.iter().enumerate() {
                        // Not `take`: so the loop is unrolled and the counts stay in registers.
                        if p < left {
                            let out = &mut job.out[first_out + p * channels..][..valid];
                            if valid == block {
                                store(token, counts, base, factor, out);
                            } else {
                                let mut whole = [T::default(); 64];
                                store(token, counts, base, factor, &mut whole);
                                out.copy_from_slice(&whole[..valid]);
                            }
                        }
                    }
                }
            }
        }
    }
    if shape.corrects_border() {
        border::correct(&mut job);
    }
}

/// Writes the dot products of one pixel, `base + factor · count`.
#[inline(always)]
fn store<S: Words, T: Dot, const N: usize>(token: S, counts: &[S::U64; N], base: &[i32], factor: i32, out: &mut [T]) {
    for (v, &counts) in counts.iter().enumerate() {
        let lanes = v * S::LANES..(v + 1) * S::LANES;
        T::store(token, counts, &base[lanes.clone()], factor, &mut out[lanes]);
    }
}

/// `popcount(a ^ w)` for pixels `at..at + P` of the scratch and one block of weights `[depth, N · LANES]`.
#[inline(always)]
fn tile<S: Words, const P: usize, const N: usize>(
    token: S,
    scratch: &[u64],
    at: usize,
    weights: &[u64],
) -> [[S::U64; N]; P] {
    let block = N * S::LANES;
    let zero = token.splat_word(0);
    let pairs = (weights.len() / block - 1) / 2;
    let (w_first, w_rest) = weights.split_at(block);
    let (w_pairs, w_last) = w_rest.split_at(pairs * 2 * block);
    let (a_first, a_rest) = scratch.split_at(CHUNK);
    let (a_pairs, a_last) = a_rest.split_at(pairs * 2 * CHUNK);

    let mut parity = [[zero; N]; P];
    for v in 0..N {
        let w = token.load_words(&w_first[v * S::LANES..]);
        for p in 0..P {
            parity[p][v] = token.xor(w, token.splat_word(a_first[at + p]));
        }
    }
    let mut twos = [[zero; N]; P];
    if S::PARTIALS == usize::MAX {
        carries::<S, P, N>(token, a_pairs, at, w_pairs, &mut parity, &mut twos);
    } else {
        for (w, a) in w_pairs.chunks(S::PARTIALS * 2 * block).zip(a_pairs.chunks(S::PARTIALS * 2 * CHUNK)) {
            // The complement of every other carry takes its count away from that of a word of ones.
            let complements = w.len() / (4 * block);
            let start = token.splat_word(S::COMPLEMENTS.map_or(0, |ones| ones * complements as u64));
            let mut partial = [[start; N]; P];
            carries::<S, P, N>(token, a, at, w, &mut parity, &mut partial);
            for (twos, partial) in twos.as_flattened_mut().iter_mut().zip(partial.as_flattened()) {
                *twos = token.add(*twos, token.widen(*partial));
            }
        }
    }
    for p in 0..P {
        for v in 0..N {
            // The last pair may have been one that ends complemented.
            if S::COMPLEMENTS.is_some() && pairs % 2 == 1 {
                parity[p][v] = token.xor(parity[p][v], token.splat_word(u64::MAX));
            }
            let mut ones = token.count(parity[p][v]);
            // A last word without a partner, stored as it is.
            if !w_last.is_empty() {
                let last = token.xor(token.load_words(&w_last[v * S::LANES..]), token.splat_word(a_last[at + p]));
                ones = token.add_partial(ones, token.count(last));
            }
            twos[p][v] = token.add(token.add(twos[p][v], twos[p][v]), token.widen(ones));
        }
    }
    twos
}

/// Adds the partial counts of the carries of pairs of words.
#[inline(always)]
fn carries<S: Words, const P: usize, const N: usize>(
    token: S,
    scratch: &[u64],
    at: usize,
    weights: &[u64],
    parity: &mut [[S::U64; N]; P],
    partial: &mut [[S::U64; N]; P],
) {
    let block = N * S::LANES;
    let pairs = if S::COMPLEMENTS.is_some() { 2 } else { 1 };
    let (w, a) = (weights.chunks_exact(2 * pairs * block), scratch.chunks_exact(2 * pairs * CHUNK));
    let (w_last, a_last) = (w.remainder(), a.remainder());
    for (w, a) in w.zip(a) {
        pair::<S, P, N, false>(token, a, at, w, parity, partial);
        if S::COMPLEMENTS.is_some() {
            pair::<S, P, N, true>(token, &a[2 * CHUNK..], at, &w[2 * block..], parity, partial);
        }
    }
    if S::COMPLEMENTS.is_some() && !w_last.is_empty() {
        pair::<S, P, N, false>(token, a_last, at, w_last, parity, partial);
    }
}

/// Adds the partial counts of the carry of the first pair of words, before which the parity may be `COMPLEMENTED`.
#[inline(always)]
fn pair<S: Words, const P: usize, const N: usize, const COMPLEMENTED: bool>(
    token: S,
    scratch: &[u64],
    at: usize,
    weights: &[u64],
    parity: &mut [[S::U64; N]; P],
    partial: &mut [[S::U64; N]; P],
) {
    let block = N * S::LANES;
    let (a0, a1) = (&scratch[at..at + P], &scratch[CHUNK + at..CHUNK + at + P]);
    for v in 0..N {
        let w0 = token.load_words(&weights[v * S::LANES..]);
        let w1 = token.load_words(&weights[block + v * S::LANES..]);
        for p in 0..P {
            let second = token.xor(w0, token.splat_word(a0[p]));
            let third = token.xor(w1, token.splat_word(a1[p]));
            partial[p][v] = token.add_carry::<COMPLEMENTED>(partial[p][v], parity[p][v], second, third);
            parity[p][v] = third;
        }
    }
}
