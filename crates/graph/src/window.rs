//! The sliding window of convolutions and pools.

use serde::{Deserialize, Serialize};

use crate::Mismatch;

/// Where the taps of a convolution or pool lie; each pair is (height, width).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Taps along each axis.
    pub kernel: [usize; 2],
    /// Steps of the window, in input pixels.
    pub stride: [usize; 2],
    /// Pixels that stand outside the image on each side.
    pub padding: [usize; 2],
    /// Distance between taps, in input pixels.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window without dilation.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], dilation: [1; 2] }
    }

    /// The number of taps.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The output extents for an input of these extents.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2], Mismatch> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let (kernel, stride, dilation) = (self.kernel[axis], self.stride[axis], self.dilation[axis]);
            if kernel == 0 || stride == 0 || dilation == 0 {
                return Err(Mismatch::new("kernel, stride and dilation of 1 or more", format!("{self:?}")));
            }
            let reach = (kernel - 1).checked_mul(dilation).and_then(|r| r.checked_add(1));
            let padded = self.padding[axis].checked_mul(2).and_then(|p| p.checked_add(input[axis]));
            output[axis] = match (reach, padded) {
                (Some(reach), Some(padded)) if reach <= padded => (padded - reach) / stride + 1,
                _ => {
                    return Err(Mismatch::new(
                        format!(
                            "an input that holds the window (kernel {:?}, dilation {:?}, padding {:?})",
                            self.kernel, self.dilation, self.padding
                        ),
                        format!("{}x{}", input[0], input[1]),
                    ));
                }
            };
        }
        Ok(output)
    }

    /// The output extents if a last window that reaches over the end counts too, so long as it begins inside the image or the padding before it.
    pub fn output_ceil(&self, input: [usize; 2]) -> Result<[usize; 2], Mismatch> {
        let mut output = self.output(input)?;
        for axis in 0..2 {
            let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            let covered = (output[axis] - 1) * self.stride[axis] + reach;
            let starts_inside = output[axis] * self.stride[axis] < input[axis] + self.padding[axis];
            output[axis] += usize::from(covered < input[axis] + 2 * self.padding[axis] && starts_inside);
        }
        Ok(output)
    }

    /// How many taps of an output lie on the image or its padding: all, but for a last window that reaches over the end.
    pub fn padded_taps(&self, input: [usize; 2], output: [usize; 2]) -> usize {
        let along = |axis: usize| {
            let end = input[axis] + 2 * self.padding[axis];
            (0..self.kernel[axis])
                .filter(|tap| output[axis] * self.stride[axis] + tap * self.dilation[axis] < end)
                .count()
        };
        along(0) * along(1)
    }

    /// The input coordinate that a tap of an output coordinate reads along `axis`, if it lies inside an input of extent `input`.
    pub fn source(&self, axis: usize, input: usize, output: usize, tap: usize) -> Option<usize> {
        (output * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.padding[axis]).filter(|&i| i < input)
    }

    /// The distinct sets of taps inside the image along `axis`: see [`BorderCases`].
    pub fn border_cases(&self, axis: usize, input: usize, output: usize) -> BorderCases {
        let mut cases = BorderCases { taps: Vec::new(), of_output: Vec::with_capacity(output) };
        for o in 0..output {
            let inside: Vec<bool> = (0..self.kernel[axis]).map(|t| self.source(axis, input, o, t).is_some()).collect();
            let case = cases.taps.iter().position(|known| *known == inside).unwrap_or_else(|| {
                cases.taps.push(inside);
                cases.taps.len() - 1
            });
            cases.of_output.push(case);
        }
        cases
    }
}

/// The distinct sets of taps that lie inside the image along one axis, in order of first appearance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BorderCases {
    /// For each case, which taps lie inside.
    pub taps: Vec<Vec<bool>>,
    /// For each output coordinate, its case.
    pub of_output: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_extents_are_those_of_pytorch() {
        assert_eq!(Window::square(3, 1, 1).output([28, 28]).unwrap(), [28, 28]);
        assert_eq!(Window::square(7, 2, 3).output([224, 224]).unwrap(), [112, 112]);
        assert_eq!(Window { dilation: [2, 3], ..Window::square(3, 2, 0) }.output([9, 9]).unwrap(), [3, 2]);
        assert!(Window::square(5, 1, 0).output([4, 8]).is_err());
        assert!(Window::square(3, 0, 0).output([4, 8]).is_err());
    }

    #[test]
    fn a_last_window_may_reach_over_the_end() {
        let halves = Window::square(2, 2, 0);
        assert_eq!(halves.output_ceil([7, 8]).unwrap(), [4, 4]);
        assert_eq!([[2, 3], [3, 3]].map(|output| halves.padded_taps([7, 8], output)), [4, 2]);
        // Behind 5 pixels and 1 of padding the window of output 3 would begin outside.
        assert_eq!(Window::square(2, 2, 1).output_ceil([5, 6]).unwrap(), [3, 4]);
    }

    #[test]
    fn border_cases_of_a_padded_three_tap_window() {
        let cases = Window::square(3, 1, 1).border_cases(0, 4, 4);
        assert_eq!(cases.taps, [vec![false, true, true], vec![true; 3], vec![true, true, false]]);
        assert_eq!(cases.of_output, [0, 1, 1, 2]);
    }
}
