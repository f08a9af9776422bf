//! Patches of images of bits.

use std::ops::Range;

use binary_nets_bits as bits;
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
    /// Writes the bits of `count` neighbouring patches of a group, `N` at most, `[taps, channels]` without gaps: word w of the i-th is `words[w][i]`. Bits behind the last channel of a
    /// pixel are 0.
    pub fn write<const N: usize>(
        &self,
        codes: &[u64],
        (group, first, count): (usize, usize, usize),
        words: &mut [[u64; N]],
    ) {
        words.fill([0; N]);
        let [rows, columns] = self.output;
        let mut done = 0;
        while done < count {
            let patch = first + done;
            let [image, row, column] = [patch / (rows * columns), patch / columns % rows, patch % columns];
            let run = (columns - column).min(count - done);
            for tap in 0..self.window.taps() {
                self.write_tap(codes, [group, image, tap], [row, column], words, done..done + run);
            }
            done += run;
        }
    }

    /// Writes the bits of a tap of neighbouring patches of one row.
    #[inline(always)]
    fn write_tap<const N: usize>(
        &self,
        codes: &[u64],
        [group, image, tap]: [usize; 3],
        [row, column]: [usize; 2],
        words: &mut [[u64; N]],
        places: Range<usize>,
    ) {
        let [height, width] = self.input;
        let Window { stride: [_, stride], kernel: [_, kw], .. } = self.window;
        let per_pixel = bits::words(self.channels);
        // The patches that meet a pixel there, and the first such pixel.
        let (mut inside, mut source) = (0..0, None);
        if let Some(y) = self.window.source(0, height, row, tap / kw) {
            let all = self.window.outputs_inside(1, width, self.output[1], tap % kw);
            inside = all.start.clamp(column, column + places.len()) - column
                ..all.end.clamp(column, column + places.len()) - column;
            let x = self.window.source(1, width, column + inside.start, tap % kw);
            source = x.filter(|_| !inside.is_empty()).map(|x| (image * height + y) * width + x);
        }
        for word in 0..per_pixel {
            let valid = WORD.min(self.channels - word * WORD);
            let at = tap * self.channels + word * WORD;
            let put = |words: &mut [[u64; N]], i: usize, bits: u64| {
                words[at / WORD][places.start + i] |= bits << (at % WORD);
                if at % WORD + valid > WORD {
                    words[at / WORD + 1][places.start + i] |= bits >> (WORD - at % WORD);
                }
            };
            if let Some(source) = source {
                let bits = codes[(source * self.groups + group) * per_pixel + word..].iter();
                for (i, bits) in inside.clone().zip(bits.step_by(stride * self.groups * per_pixel)) {
                    put(words, i, *bits);
                }
            }
            if self.pad {
                let outside = u64::MAX >> (WORD - valid);
                (0..inside.start).chain(inside.end..places.len()).for_each(|i| put(words, i, outside));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BitPatches;
    use binary_nets_graph::Window;

    /// Bit by bit.
    #[test]
    fn patches_have_the_bits_under_their_taps() {
        for (channels, groups, [stride, padding, dilation]) in
            [(1, 1, [1, 1, 1]), (7, 2, [2, 1, 1]), (64, 1, [1, 1, 1]), (70, 2, [1, 2, 2]), (130, 1, [3, 0, 1])]
        {
            let window = Window { dilation: [dilation; 2], ..Window::square(3, stride, padding) };
            let (input, images) = ([6, 9], 2);
            let output = input.map(|extent| (extent + 2 * padding - 2 * dilation - 1) / stride + 1);
            let per_pixel = usize::div_ceil(channels, 64);
            let mask = |word: usize| u64::MAX >> (64 - (channels - word * 64).min(64));
            let codes: Vec<u64> = (0..images * input[0] * input[1] * groups * per_pixel)
                .map(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32) & mask(i % per_pixel))
                .collect();
            for pad in [false, true] {
                let patches = BitPatches { window, input, output, groups, channels, pad };
                let count = images * output[0] * output[1];
                for first in (0..count).step_by(5) {
                    let here = 5.min(count - first);
                    let mut words = vec![[u64::MAX; 5]; (9 * channels).div_ceil(64)];
                    patches.write(&codes, (groups - 1, first, here), &mut words);
                    for (i, patch) in (first..first + here).enumerate() {
                        let [image, row, column] =
                            [patch / (output[0] * output[1]), patch / output[1] % output[0], patch % output[1]];
                        for (tap, channel) in (0..9).flat_map(|tap| (0..channels).map(move |channel| (tap, channel))) {
                            let source = |axis, at, tap| window.source(axis, input[axis], at, tap);
                            let expected = match (source(0, row, tap / 3), source(1, column, tap % 3)) {
                                (Some(y), Some(x)) => {
                                    let pixel = (image * input[0] + y) * input[1] + x;
                                    let word = (pixel * groups + groups - 1) * per_pixel + channel / 64;
                                    codes[word] >> (channel % 64) & 1
                                }
                                _ => u64::from(pad),
                            };
                            let at = tap * channels + channel;
                            assert_eq!(
                                words[at / 64][i] >> (at % 64) & 1,
                                expected,
                                "{channels} channels, patch {patch}"
                            );
                        }
                    }
                }
            }
        }
    }
}
