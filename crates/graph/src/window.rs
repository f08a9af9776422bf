//! The sliding window of convolutions and pools.

use std::collections::HashMap;
use std::ops::Range;

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

    /// Whether windows lie side by side, so that none shares a pixel with another and all of each lie on the image.
    pub fn tiles(&self) -> bool {
        self.kernel == self.stride && self.padding == [0; 2] && self.dilation == [1; 2]
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
    #[inline]
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
    #[inline]
    pub fn source(&self, axis: usize, input: usize, output: usize, tap: usize) -> Option<usize> {
        (output * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.padding[axis]).filter(|&i| i < input)
    }

    /// The window without the taps at its ends that lie outside an input of extents `input` for every one of `output` outputs, and how many were left out before the first, along each axis.
    /// Some are kept that would need less than no padding. The padding is that before the input; what is cropped does not tell the number of outputs.
    #[must_use]
    pub fn cropped(&self, input: [usize; 2], output: [usize; 2]) -> (Self, [usize; 2]) {
        let (mut cropped, mut first) = (*self, [0; 2]);
        for axis in 0..2 {
            let inside =
                || (0..output[axis]).map(|o| self.taps_inside(axis, input[axis], o)).filter(|taps| !taps.is_empty());
            let Some(start) = inside().map(|taps| taps.start).min() else { continue };
            let end = inside().map(|taps| taps.end).max().unwrap_or(self.kernel[axis]);
            first[axis] = start.min(self.padding[axis] / self.dilation[axis]);
            cropped.kernel[axis] = end - first[axis];
            cropped.padding[axis] -= first[axis] * self.dilation[axis];
        }
        (cropped, first)
    }

    /// Whether a tap of some output lies outside the input.
    pub fn reaches_out(&self, input: [usize; 2], output: [usize; 2]) -> bool {
        (0..2).any(|axis| (0..output[axis]).any(|o| self.taps_inside(axis, input[axis], o) != (0..self.kernel[axis])))
    }

    /// The distinct sets of taps inside the image along `axis`: see [`BorderCases`].
    pub fn border_cases(&self, axis: usize, input: usize, output: usize) -> BorderCases {
        let mut cases = BorderCases { taps: Vec::new(), of_output: Vec::with_capacity(output) };
        let mut known = HashMap::new();
        for o in 0..output {
            let inside = self.taps_inside(axis, input, o);
            let case = *known.entry(inside.clone()).or_insert_with(|| {
                cases.taps.push(inside);
                cases.taps.len() - 1
            });
            cases.of_output.push(case);
        }
        cases
    }

    /// The taps of an output coordinate that lie inside an input of extent `input` along `axis`: consecutive ones, `0..0` where there are none.
    #[inline]
    pub fn taps_inside(&self, axis: usize, input: usize, output: usize) -> Range<usize> {
        let before = |end: usize| end.saturating_sub(output * self.stride[axis]).div_ceil(self.dilation[axis]);
        let first = before(self.padding[axis]);
        let end = before(self.padding[axis] + input).min(self.kernel[axis]);
        if first < end { first..end } else { 0..0 }
    }

    /// The output coordinates, of `outputs`, for which a tap lies inside an input of extent `input` along `axis`: consecutive ones, `0..0` where there are none.
    #[inline]
    pub fn outputs_inside(&self, axis: usize, input: usize, outputs: usize, tap: usize) -> Range<usize> {
        let before = |end: usize| end.saturating_sub(tap * self.dilation[axis]).div_ceil(self.stride[axis]);
        let first = before(self.padding[axis]);
        let end = before(self.padding[axis] + input).min(outputs);
        if first < end { first..end } else { 0..0 }
    }
}

/// The distinct sets of taps that lie inside the image along one axis, in order of first appearance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BorderCases {
    /// For each case, the taps that lie inside: consecutive ones.
    pub taps: Vec<Range<usize>>,
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
        assert_eq!(cases.taps, [1..3, 0..3, 0..2]);
        assert_eq!(cases.of_output, [0, 1, 1, 2]);
    }

    /// All small windows over a row of a few pixels, with the extents of input and output.
    fn rows() -> impl Iterator<Item = (Window, [usize; 2], [usize; 2])> {
        (0..4 * 3 * 7 * 4 * 5).filter_map(|n| {
            let of = |before: usize, count: usize| n / before % count;
            let pair = |along: usize| [1, along];
            let window = Window {
                kernel: pair(1 + of(1, 4)),
                stride: pair(1 + of(4, 3)),
                padding: [0, of(12, 7)],
                dilation: pair(1 + of(84, 4)),
            };
            let input = pair(1 + of(336, 5));
            Some((window, input, window.output(input).ok()?))
        })
    }

    #[test]
    fn what_is_cropped_never_lies_inside() {
        // One pixel sees the middle of 3×3 taps alone.
        assert_eq!(Window::square(3, 1, 1).cropped([1; 2], [1; 2]), (Window::square(1, 1, 0), [1; 2]));
        assert_eq!(Window::square(3, 1, 1).cropped([2; 2], [2; 2]), (Window::square(3, 1, 1), [0; 2]));
        for (window, input, output) in rows() {
            let (cropped, [_, first]) = window.cropped(input, output);
            assert!(first + cropped.kernel[1] <= window.kernel[1] && cropped.kernel[1] > 0, "{window:?} {input:?}");
            for o in 0..output[1] {
                for tap in 0..window.kernel[1] {
                    let there = tap.checked_sub(first).filter(|&tap| tap < cropped.kernel[1]);
                    let there = there.and_then(|tap| cropped.source(1, input[1], o, tap));
                    assert_eq!(there, window.source(1, input[1], o, tap), "{window:?} {input:?} {o} {tap}");
                }
            }
            let outside = |o: usize| (0..window.kernel[1]).any(|tap| window.source(1, input[1], o, tap).is_none());
            assert_eq!(window.reaches_out(input, output), (0..output[1]).any(outside), "{window:?} {input:?}");
        }
    }

    #[test]
    fn the_taps_of_a_case_are_those_whose_source_is_inside() {
        for (window, [_, input], [_, output]) in rows() {
            let cases = window.border_cases(1, input, output);
            assert_eq!(cases.of_output.len(), output);
            for (o, &case) in cases.of_output.iter().enumerate() {
                let inside: Vec<usize> =
                    (0..window.kernel[1]).filter(|&tap| window.source(1, input, o, tap).is_some()).collect();
                assert_eq!(cases.taps[case].clone().collect::<Vec<_>>(), inside, "{window:?} {input} {o}");
            }
            for (i, taps) in cases.taps.iter().enumerate() {
                assert!(!cases.taps[..i].contains(taps), "{window:?} {input}: {taps:?} twice");
            }
        }
    }

    #[test]
    fn border_cases_of_the_largest_windows_take_no_time() {
        // As many cases as taps, each as many taps long: what compares them tap by tap takes minutes for these.
        let window = Window { dilation: [1; 2], ..Window::square(1 << 13, 1, 1 << 13) };
        let start = std::time::Instant::now();
        for _ in 0..50 {
            let cases = window.border_cases(0, 1 << 13, (1 << 14) + 1);
            assert_eq!(cases.taps.len(), 1 << 14);
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn outputs_inside_are_those_that_have_a_source() {
        for [kernel, stride, padding, dilation] in
            [[3, 1, 1, 1], [3, 2, 1, 1], [7, 2, 3, 1], [3, 1, 5, 4], [2, 3, 0, 1], [1, 2, 0, 1], [5, 1, 9, 1]]
        {
            let window = Window { dilation: [dilation; 2], ..Window::square(kernel, stride, padding) };
            for input in 1..12 {
                for (outputs, tap) in (0..9).flat_map(|outputs| (0..kernel).map(move |tap| (outputs, tap))) {
                    let expected: Vec<usize> =
                        (0..outputs).filter(|&output| window.source(1, input, output, tap).is_some()).collect();
                    let range = window.outputs_inside(1, input, outputs, tap);
                    assert_eq!(range.collect::<Vec<_>>(), expected, "{window:?}: {input}, {outputs}, {tap}");
                }
            }
        }
    }
}
