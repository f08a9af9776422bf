//! Weights as the tile reads them: `[blocks, pairs, block]` of pairs, segment by segment.

use super::Shape;

/// Lays `weights: [out_channels, kh, kw, in_channels]`; what a pair or a block lacks is 0.
pub(super) fn lay(shape: &Shape, weights: &[i16], laid: &mut [i16]) {
    let (block, depth) = (shape.block, shape.depth());
    laid.fill(0);
    for (output, weights) in weights.chunks_exact(depth).enumerate() {
        let (tile, lane) = (output / block, output % block);
        let mut pairs = laid[tile * shape.pairs * block * 2..].chunks_exact_mut(block * 2);
        for segment in shape.parts.iter().flatten() {
            let weights = weights[segment.weight..][..segment.len].chunks(2);
            for (weights, pair) in weights.zip(pairs.by_ref()) {
                pair[lane * 2..][..weights.len()].copy_from_slice(weights);
            }
        }
    }
}
