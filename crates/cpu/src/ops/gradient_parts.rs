//! Which pixels of dy the gradient of a convolution by its input reads.

use binary_nets_graph::Window;

use super::patches::Axis;

/// The target pixels, by what remains of their rows and columns when divided by the stride.
pub struct Parts {
    pub each: Vec<Part>,
    /// Remainders of target rows and columns, each a part.
    pub spread: [usize; 2],
    /// The first source row and column that target row and column 0 of every part read.
    pub first: [isize; 2],
    /// Source rows and columns that targets read beyond as many as there are of them.
    pub margin: [usize; 2],
    /// Rows and columns of the largest part.
    pub most: [usize; 2],
}

/// The target pixels of one remainder, which share their taps.
pub struct Part {
    /// Row and column of the first of them.
    pub origin: [usize; 2],
    /// How many rows and columns there are.
    pub size: [usize; 2],
    /// Taps of the kernel, and the row and column of dy that the first target meets there, counted from [`Parts::first`]; these ascend.
    pub taps: Vec<(usize, [usize; 2])>,
}

impl Parts {
    /// Those of dx of `target` rows and columns, and dy of `source` rows and columns.
    pub fn new(window: &Window, source: [usize; 2], target: [usize; 2]) -> Self {
        let mut axes = [0, 1].map(|axis| Axis::backward(window, axis, target[axis]));
        // Taps that meet no pixel of dy would look up zeros.
        for (axes, extent) in axes.iter_mut().zip(source) {
            for Axis { positions, taps, .. } in axes {
                taps.retain(|&(_, offset)| offset < extent as isize && offset + *positions as isize > 0);
            }
        }
        let offsets = |axis: usize| axes[axis].iter().flat_map(|axis| axis.taps.iter().map(|&(_, offset)| offset));
        let first = [0, 1].map(|axis| offsets(axis).min().unwrap_or(0));
        let margin = [0, 1].map(|axis| (offsets(axis).max().unwrap_or(0) - first[axis]) as usize);
        let most = [0, 1].map(|axis| axes[axis].iter().map(|axis| axis.positions).max().unwrap_or(0));
        let mut each = Vec::new();
        for (i, rows) in axes[0].iter().enumerate() {
            for (j, columns) in axes[1].iter().enumerate() {
                let taps = rows.taps.iter().flat_map(|&(ky, y)| {
                    let place = move |x| [(y - first[0]) as usize, (x - first[1]) as usize];
                    columns.taps.iter().map(move |&(kx, x)| (ky * window.kernel[1] + kx, place(x)))
                });
                each.push(Part { origin: [i, j], size: [rows.positions, columns.positions], taps: taps.collect() });
            }
        }
        Self { each, spread: axes.map(|axis| axis.len()), first, margin, most }
    }
}
