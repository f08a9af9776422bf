//! Extents of a tensor.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The extents of a tensor, outermost axis first; `[]` is a single number. Feature maps are `[n, h, w, c]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The number of elements: the product of the extents, 1 for `[]`.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether the number of elements is one that sizes, in bytes and in bits, can be computed from: below 2^31.
    pub fn is_possible(&self) -> bool {
        let elements = self.0.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        elements.is_some_and(|n| n < 1 << 31)
    }

    /// The extent of the last axis, 1 for `[]`: the channels of a feature map.
    pub fn channels(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// The number of elements over all axes but the last: the pixels of a feature map.
    pub fn rows(&self) -> usize {
        self.0.split_last().map_or(1, |(_, outer)| outer.iter().product())
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Self(extents)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Self {
        Self(extents.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Self(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", extents.join(","))
    }
}

/// The shape that two operands of an element-wise op share: axes are matched from the last, an extent of 1 stretches.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let extent = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .map(Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_matches_axes_from_the_last() {
        assert_eq!(broadcast(&[2, 3, 4], &[4]), Some([2, 3, 4].into()));
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]), Some([2, 3, 4].into()));
        assert_eq!(broadcast(&[], &[5]), Some([5].into()));
        assert_eq!(broadcast(&[2, 3], &[2]), None);
    }
}
