//! Rows of floats in vectors.

use crate::vector::Floats;

/// Loads a row; one that ends early is padded with zeros.
#[inline(always)]
pub fn load_row<S: Floats, const N: usize>(token: S, acc: &mut [S::F32; N], c: &[f32]) {
    let mut padded = [0.0; 64];
    let full = c.len() == N * S::LANES;
    if !full {
        padded[..c.len()].copy_from_slice(c);
    }
    let c = if full { c } else { &padded[..N * S::LANES] };
    for (acc, c) in acc.iter_mut().zip(c.chunks_exact(S::LANES)) {
        *acc = token.load(c);
    }
}

/// Stores as many elements as the row has.
#[inline(always)]
pub fn store_row<S: Floats, const N: usize>(token: S, acc: &[S::F32; N], c: &mut [f32]) {
    if c.len() == N * S::LANES {
        for (acc, c) in acc.iter().zip(c.chunks_exact_mut(S::LANES)) {
            token.store(*acc, c);
        }
    } else {
        let mut padded = [0.0; 64];
        for (acc, c) in acc.iter().zip(padded.chunks_exact_mut(S::LANES)) {
            token.store(*acc, c);
        }
        c.copy_from_slice(&padded[..c.len()]);
    }
}
