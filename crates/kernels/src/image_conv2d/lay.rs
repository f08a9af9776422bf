//! Weights as the tile reads them: `[blocks, words, block]` of words of 32 bits, segment by segment.

use super::Shape;

/// Lays `weights: [out_channels, kh, kw, in_channels]`; what a word or a block lacks is 0.
pub(super) fn lay<W: Copy + Default>(shape: &Shape, weights: &[i16], laid: &mut [W], narrow: impl Fn(i16) -> W) {
    let (block, depth, per_word) = (shape.block, shape.depth(), shape.per_word);
    laid.fill(W::default());
    for (output, weights) in weights.chunks_exact(depth).enumerate() {
        let (tile, lane) = (output / block, output % block);
        let mut words = laid[tile * shape.words * block * per_word..].chunks_exact_mut(block * per_word);
        for segment in shape.parts.iter().flatten() {
            let weights = weights[segment.weight..][..segment.len].chunks(per_word);
            for (weights, word) in weights.zip(words.by_ref()) {
                word[lane * per_word..].iter_mut().zip(weights).for_each(|(to, &weight)| *to = narrow(weight));
            }
        }
    }
}
