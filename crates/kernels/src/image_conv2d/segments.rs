//! The products of an output as segments: neighbours among the weights of an output channel and in a line.

use crate::Conv2dGeometry;

/// Neighbouring products of one kernel row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The kernel row.
    pub row: usize,
    /// Where its weights start in `[kh, kw, in_channels]`.
    pub weight: usize,
    /// Where its pixels start in the line of the kernel row, for output column 0.
    pub at: usize,
    /// Products.
    pub len: usize,
}

impl Segment {
    /// Words of so many products; the last need not be full.
    pub fn words(&self, per_word: usize) -> usize {
        self.len.div_ceil(per_word)
    }
}

/// All products in order, in parts of at most `most`.
pub(super) fn parts(g: &Conv2dGeometry, most: usize) -> Vec<Vec<Segment>> {
    let (columns, channels) = (g.kernel[1], g.in_channels);
    // Without dilation, the taps of a kernel row are neighbours in a line too.
    let (runs, run_len) = if g.dilation[1] == 1 { (1, columns * channels) } else { (columns, channels) };
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), most);
    for run in 0..g.kernel[0] * runs {
        let (row, column) = (run / runs, run % runs);
        let mut done = 0;
        while done < run_len {
            if room == 0 {
                parts.push(std::mem::take(&mut part));
                room = most;
            }
            let len = (run_len - done).min(room);
            let at = column * g.dilation[1] * channels + done;
            part.push(Segment { row, weight: run * run_len + done, at, len });
            room -= len;
            done += len;
        }
    }
    parts.push(part);
    parts
}
