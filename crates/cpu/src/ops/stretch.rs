//! Walking operands that are stretched, or turned, to the shape of a result.

use std::array;

use binary_nets_graph::Shape;
use binary_nets_kernels::Isa;

use super::elementwise::CHUNK;
use crate::threads::Threads;

/// The index space of a result with the strides of `N` operands in it; neighbouring axes that every operand walks as one are one.
#[derive(Clone, Debug)]
pub struct Stretch<const N: usize> {
    axes: Vec<Axis<N>>,
}

#[derive(Clone, Copy, Debug)]
struct Axis<const N: usize> {
    extent: usize,
    strides: [usize; N],
}

impl<const N: usize> Stretch<N> {
    /// Operands stretched to `shape`: axes are matched from the last, extents of 1 stretch. With `rows`, the last axis stays as it is.
    pub fn new(shape: &Shape, operands: [&Shape; N], rows: bool) -> Self {
        let strides = operands.map(|operand| stretched_strides(operand, shape.len()));
        Self::merge(shape, |axis| array::from_fn(|i| strides[i][axis]), rows)
    }

    /// Merges axes outermost first.
    fn merge(shape: &[usize], strides: impl Fn(usize) -> [usize; N], rows: bool) -> Self {
        let mut axes: Vec<Axis<N>> = Vec::new();
        for (i, &extent) in shape.iter().enumerate() {
            let axis = Axis { extent, strides: strides(i) };
            let alone = rows && i + 1 == shape.len();
            match axes.last_mut() {
                _ if extent == 1 && !alone => {}
                Some(outer) if !alone && (0..N).all(|i| outer.strides[i] == axis.strides[i] * extent) => {
                    *outer = Axis { extent: outer.extent * extent, ..axis };
                }
                _ => axes.push(axis),
            }
        }
        if axes.is_empty() {
            axes.push(Axis { extent: 1, strides: [0; N] });
        }
        Self { axes }
    }

    /// The last axis: its extent, and how far each operand moves along it.
    pub fn inner(&self) -> (usize, [usize; N]) {
        self.axes.last().map_or((1, [0; N]), |axis| (axis.extent, axis.strides))
    }

    /// Where the operands start in a row; a row is one walk along the last axis.
    #[inline(always)]
    pub fn row(&self, mut row: usize) -> [usize; N] {
        let mut offsets = [0; N];
        let outer = &self.axes[..self.axes.len() - 1];
        for (i, axis) in outer.iter().enumerate().rev() {
            // The outermost axis needs no division, which leaves none for a vector of channels beside a feature map.
            let coordinate = if i == 0 { row } else { row % axis.extent };
            row = if i == 0 { 0 } else { row / axis.extent };
            for (offset, stride) in offsets.iter_mut().zip(axis.strides) {
                *offset += coordinate * stride;
            }
        }
        offsets
    }

    /// Calls `work(offsets, piece)` for pieces of `y` that lie in one row, with the offsets of the operands there.
    pub fn for_pieces(&self, isa: Isa, threads: Threads, y: &mut [f32], work: impl Fn([usize; N], &mut [f32]) + Sync) {
        let (extent, strides) = self.inner();
        if self.axes.len() == 1 {
            threads.for_chunks(y, CHUNK, |i, y| {
                isa.vectorize(
                    #[inline(always)]
                    || work(strides.map(|stride| i * CHUNK * stride), y),
                );
            });
        } else {
            let rows = (CHUNK / extent.max(1)).max(1);
            threads.for_chunks(y, rows * extent, |i, y| {
                isa.vectorize(
                    #[inline(always)]
                    || {
                        for (row, y) in y.chunks_exact_mut(extent).enumerate() {
                            work(self.row(i * rows + row), y);
                        }
                    },
                );
            });
        }
    }
}

impl Stretch<1> {
    /// An operand whose axis `permutation[i]` is axis `i` of the result.
    pub fn permuted(operand: &Shape, permutation: &[usize]) -> Self {
        let strides = stretched_strides(operand, operand.len());
        let shape: Vec<usize> = permutation.iter().map(|&axis| operand[axis]).collect();
        Self::merge(&shape, |axis| [strides[permutation[axis]]], false)
    }
}

/// The distance between neighbours along each of `rank` axes; 0 where the operand is stretched.
fn stretched_strides(operand: &Shape, rank: usize) -> Vec<usize> {
    let mut strides = vec![0; rank];
    let mut stride = 1;
    for (to, &extent) in strides.iter_mut().rev().zip(operand.iter().rev()) {
        if extent > 1 {
            *to = stride;
        }
        stride *= extent;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes<const N: usize>(stretch: &Stretch<N>) -> Vec<(usize, [usize; N])> {
        stretch.axes.iter().map(|a| (a.extent, a.strides)).collect()
    }

    #[test]
    fn axes_that_are_walked_as_one_are_merged() {
        let new =
            |a: &[usize], b: &[usize], rows| axes(&Stretch::new(&[2, 3, 4, 5].into(), [&a.into(), &b.into()], rows));
        assert_eq!(new(&[2, 3, 4, 5], &[2, 3, 4, 5], false), [(120, [1, 1])]);
        assert_eq!(new(&[2, 3, 4, 5], &[2, 3, 4, 5], true), [(24, [5, 5]), (5, [1, 1])]);
        assert_eq!(new(&[2, 3, 4, 5], &[5], false), [(24, [5, 0]), (5, [1, 1])]);
        assert_eq!(new(&[], &[2, 1, 1, 5], false), [(2, [0, 5]), (12, [0, 0]), (5, [0, 1])]);
        assert_eq!(axes(&Stretch::new(&[].into(), [&[].into()], true)), [(1, [0])]);
        assert_eq!(axes(&Stretch::permuted(&[2, 3, 4].into(), &[2, 0, 1])), [(4, [1]), (6, [4])]);
    }
}
