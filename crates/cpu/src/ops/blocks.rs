//! Tensors seen along one axis.

use binary_nets_graph::Shape;

use super::elementwise::CHUNK;
use crate::threads::Threads;

/// A tensor as `[outer, extent, inner]` around an axis; a block is what lies under one outer index.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// The extent of the axis.
    pub extent: usize,
    /// Elements under one index of the axis.
    pub inner: usize,
}

impl Blocks {
    /// The axis `axis` of a shape.
    pub fn around(shape: &Shape, axis: usize) -> Self {
        Self { extent: shape[axis], inner: shape[axis + 1..].iter().product() }
    }

    /// Elements of a block.
    pub fn block(&self) -> usize {
        self.extent * self.inner
    }

    /// Calls `work(number of the block, block)` for every block of `y`.
    pub fn for_blocks(&self, threads: Threads, y: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
        let block = self.block();
        let blocks = (CHUNK / block.max(1)).max(1);
        threads.for_chunks(y, blocks * block, |i, y| {
            (i * blocks..).zip(y.chunks_exact_mut(block)).for_each(|(number, y)| work(number, y));
        });
    }
}
