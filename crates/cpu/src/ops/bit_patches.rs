//! Patches of images of bits.

use binary_nets_bits::words;
use binary_nets_graph::Window;

/// Bits of one word.
const WORD: usize = u64::BITS as usize;

/// The patches of packed codes `[images, rows, columns, groups, words]` under the taps of a window.
pub struct BitPatches {
    pub window: Window,
    /// Rows and columns of the codes.
    pub input: [usize; 2],
    /// Rows and columns of patches.
    pub output: [usize; 2],
    pub groups: usize,
    /// Channels of one group.
    pub channels: usize,
    /// The bits of a pixel outside.
    pub pad: bool,
}

impl BitPatches {
    /// Image, row and column of the patches from one on, without end.
    pub fn places(&self, patch: usize) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [rows, columns] = self.output;
        let first = [patch / (rows * columns), patch / columns % rows, patch % columns];
        std::iter::successors(Some(first), move |&[image, row, column]| {
            Some(match (row + 1 == rows, column + 1 == columns) {
                (_, false) => [image, row, column + 1],
                (false, true) => [image, row + 1, 0],
                (true, true) => [image + 1, 0, 0],
            })
        })
    }

    /// Gives the bits of one patch, `[taps, channels]` without gaps, to `set(word, bits)`.
    #[inline(always)]
    pub fn set(&self, codes: &[u64], group: usize, [image, row, column]: [usize; 3], mut set: impl FnMut(usize, u64)) {
        let [height, width] = self.input;
        let [kh, kw] = self.window.kernel;
        let per_pixel = words(self.channels);
        let mut at = 0;
        for ky in 0..kh {
            let source_row = self.window.source(0, height, row, ky).map(|y| (image * height + y) * width);
            for kx in 0..kw {
                let source = source_row.zip(self.window.source(1, width, column, kx));
                let bits = source.map(|(row, x)| &codes[((row + x) * self.groups + group) * per_pixel..][..per_pixel]);
                for word in 0..per_pixel {
                    let valid = WORD.min(self.channels - word * WORD);
                    let outside = if self.pad { u64::MAX >> (WORD - valid) } else { 0 };
                    let bits = bits.map_or(outside, |bits| bits[word]);
                    set(at / WORD, bits << (at % WORD));
                    if at % WORD + valid > WORD {
                        set(at / WORD + 1, bits >> (WORD - at % WORD));
                    }
                    at += valid;
                }
            }
        }
    }
}
