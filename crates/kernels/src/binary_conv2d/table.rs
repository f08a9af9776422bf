//! The other tile: P pairs of output pixels × N vectors of output channels, counted by lookups.
//!
//! A pair of pixels has two nibbles at each place of the depth, a and b, which choose one of 256 tables; the nibble w of the weights chooses in it.
//! What is found there counts for both pixels at once, one in each nibble of a byte:
//!
//! ```text
//! table[a, b][w] = popcount(a ^ w) + 16 · popcount(b ^ w)
//! ```
//!
//! Three of them can be added in a byte, for 3 · 4 < 16. The sum of all is kept modulo 256, and that of the upper nibble of each three on its own:
//! so the pixels can be told apart, as long as each counts less than 256, and a lookup serves both.

use super::{CHUNK, Dot, Job, border, nibbles::Scratch};
use crate::vector::Nibbles;

/// Lookups whose counts fit into a nibble.
pub(super) const GROUP: usize = 15 / 4;

/// Lookups whose counts fit into a byte, in groups: their weights stay in the first cache for all pixels.
const SLAB: usize = u8::MAX as usize / (4 * GROUP) * GROUP;

/// Lookups whose counts fit into 16 bits, in slabs.
const PART: usize = u16::MAX as usize / (4 * SLAB) * SLAB;

/// Counts of two nibbles a and b, number a + 16 b, for the 16 nibbles of weights.
static TABLES: Tables = Tables::new();

#[repr(align(64))]
struct Tables([[u8; 16]; 256]);

impl Tables {
    const fn new() -> Self {
        let mut tables = [[0; 16]; 256];
        let mut i = 0_usize;
        while i < 256 * 16 {
            let (pair, w) = (i / 16, i % 16);
            let counts = [((pair % 16) ^ w).count_ones(), ((pair / 16) ^ w).count_ones()];
            tables[pair][w] = (counts[0] + 16 * counts[1]) as u8;
            i += 1;
        }
        Self(tables)
    }
}

/// The whole job with tiles of `P` pairs of pixels × `N` vectors of channels.
#[inline(always)]
pub(super) fn run<S: Nibbles, T: Dot, const P: usize, const N: usize>(token: S, mut job: Job<'_, T>) {
    let shape = job.shape;
    let (g, block) = (&shape.geometry, N * S::LANES);
    let channels = g.all_out_channels();
    let factor = shape.factor();
    let block_weights = shape.nibbles() * block;
    let weights: &[u8] = bytemuck::cast_slice(job.laid.words);
    let mut scratch = Scratch::new(shape, job.scratch);
    let (first, end) = (job.rows.start * shape.out_size[1], job.rows.end * shape.out_size[1]);
    for start in (first..end).step_by(CHUNK) {
        let pixels = start..end.min(start + CHUNK);
        for group in 0..g.groups {
            scratch.gather(shape, job.image, group, pixels.clone());
            for block_of_channels in 0..shape.blocks() {
                let laid = group * shape.blocks() + block_of_channels;
                let weights = &weights[laid * block_weights..][..block_weights];
                let mut base = [T::default(); 64];
                for (base, &laid) in base.iter_mut().zip(&job.laid.base[laid * block..][..block]) {
                    *base = T::wrap(laid);
                }
                let valid = block.min(g.out_channels - block_of_channels * block);
                let channel = group * g.out_channels + block_of_channels * block;
                for (part, weights) in weights.chunks(PART * block).enumerate() {
                    count::<S, P, N>(token, &mut scratch, pixels.len(), part * PART, weights);
                    let out = &mut job.out[(pixels.start - first) * channels..][..pixels.len() * channels];
                    for (out, counts) in out.chunks_exact_mut(channels).zip(scratch.counts.chunks_exact(block)) {
                        let out = &mut out[channel..channel + valid];
                        if part > 0 {
                            base[..valid].copy_from_slice(out);
                        }
                        for ((out, base), count) in out.iter_mut().zip(&base).zip(counts) {
                            *out = base.plus(factor, *count);
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

/// Counts `popcount(a ^ w)` for the first `pixels` of the scratch and one block of weights, `[nibbles, N · LANES]`, of which the first is number
/// `nibble` of the depth. A function of its own, so that the loop of the tile has the registers for itself.
#[inline(never)]
fn count<S: Nibbles, const P: usize, const N: usize>(
    token: S,
    scratch: &mut Scratch<'_>,
    pixels: usize,
    nibble: usize,
    weights: &[u8],
) {
    token.vectorize(
        #[inline(always)]
        || {
            let block = N * S::LANES;
            let line = scratch.line / GROUP;
            let (groups, _) = scratch.lines.as_chunks();
            for (slab, weights) in weights.chunks(SLAB * block).enumerate() {
                let (first, len) = ((nibble + slab * SLAB) / GROUP, weights.len() / (GROUP * block));
                let tiles = scratch.counts.chunks_exact_mut(2 * P * block).take(pixels.div_ceil(2 * P));
                for (i, counts) in tiles.enumerate() {
                    let mut pairs = [&[][..]; P];
                    for (p, pair) in pairs.iter_mut().enumerate() {
                        *pair = &groups[(P * i + p) * line + first..][..len];
                    }
                    let pixels = tile::<S, P, N>(token, len, pairs, weights);
                    for (pixel, pairs) in pixels.iter().enumerate() {
                        for (p, here) in pairs.iter().enumerate() {
                            for (v, &here) in here.iter().enumerate() {
                                token.sum_bytes(here, slab == 0, &mut counts[(2 * p + pixel) * block + v * S::LANES..]);
                            }
                        }
                    }
                }
            }
        },
    );
}

/// The counts of the first and of the second pixel of each pair for one slab of weights, `[nibbles, N · LANES]`.
#[inline(always)]
fn tile<S: Nibbles, const P: usize, const N: usize>(
    token: S,
    len: usize,
    pairs: [&[[u8; GROUP]]; P],
    weights: &[u8],
) -> [[[S::U8; N]; P]; 2] {
    let block = N * S::LANES;
    let mut both = [[token.zero_bytes(); N]; P];
    let mut second = both;
    for (i, w) in (0..len).zip(weights.chunks_exact(GROUP * block)) {
        for p in 0..P {
            let pair = &pairs[p][i];
            for v in 0..N {
                let find = |nth: usize| {
                    let table = &TABLES.0[usize::from(pair[nth])];
                    token.lookup(table, token.load_bytes(&w[nth * block + v * S::LANES..]))
                };
                let three = token.add_bytes(token.add_bytes(find(0), find(1)), find(2));
                both[p][v] = token.add_bytes(both[p][v], three);
                second[p][v] = token.add_bytes(second[p][v], token.sixteenth(three));
            }
        }
    }
    for (both, second) in both.as_flattened_mut().iter_mut().zip(second.as_flattened()) {
        *both = token.sub_sixteenfold(*both, *second);
    }
    [both, second]
}
