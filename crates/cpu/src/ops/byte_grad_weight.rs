//! The gradient of a convolution of codes by its weights, where dy is whole numbers.

use std::ops::Range;

use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{ENTRIES, Job, MOST_CODES, Order, Row, Table};

use super::binary_grad_weight::{BinaryGradWeight, Gradient, Product};
use crate::threads::Threads;

/// Output channels whose tables of a block of pixels lie in the second cache.
const ROWS: usize = 16;

/// dw from x and dy.
pub struct ByteGradWeight {
    gemm: LutGemm,
    shape: BinaryGradWeight,
}

impl ByteGradWeight {
    /// The kernel with that product.
    pub fn new(shape: BinaryGradWeight, gemm: LutGemm) -> Self {
        Self { gemm, shape }
    }

    /// Laid words of one group of one block.
    fn block_len(&self) -> usize {
        self.shape.panels() * self.gemm.segment_len(self.shape.block.div_ceil(self.gemm.floats()))
    }

    /// Elements of the tables of some rows of dw.
    fn tables_len(&self) -> usize {
        ROWS * self.stride(self.shape.block) * ENTRIES
    }

    /// Tables of pixels of one output channel.
    fn tables_of(&self, pixels: &Range<usize>) -> usize {
        pixels.len().div_ceil(self.gemm.floats())
    }

    /// From the tables of one output channel to the next: odd, or those of all channels would fall into the same lines of the first cache.
    fn stride(&self, pixels: usize) -> usize {
        pixels.div_ceil(self.gemm.floats()) | 1
    }
}

impl Product for ByteGradWeight {
    fn kernel_name(&self) -> &'static str {
        self.gemm.kernel_name()
    }

    fn shape(&self) -> &BinaryGradWeight {
        &self.shape
    }

    /// `[partials, blocks, groups, panels, words, PANEL]`.
    fn laid_len(&self) -> usize {
        self.shape.partials() * self.shape.blocks() * self.shape.patches.groups * self.block_len()
    }

    /// Rows of bits that are laid, or tables and the numbers of which they are made.
    fn lane_len(&self) -> usize {
        let rows = self.shape.panels() * MOST_CODES * size_of::<u64>() / size_of::<u32>();
        let lines = (self.shape.block + self.gemm.floats()) * self.shape.piece;
        rows.max(self.tables_len() + lines).next_multiple_of(ENTRIES)
    }

    fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]) {
        threads.for_chunks_with(laid, self.block_len(), lanes, self.lane_len(), |i, laid, scratch| {
            let (pixels, group) = self.shape.laid_block(i);
            let each = self.gemm.segment_len(self.tables_of(&pixels));
            let rows = &mut bytemuck::cast_slice_mut(scratch).as_chunks_mut().0[..self.shape.panels()];
            self.shape.words(codes, (pixels, group), self.gemm.codes(), rows, |[word, panel], rows| {
                let at = panel * each + word * self.gemm.laid_len();
                self.gemm.lay(rows, &mut laid[at..][..self.gemm.laid_len()]);
            });
        });
    }

    fn sum(&self, threads: Threads, gradient: Gradient<'_>, laid: &[u32], partials: &mut [f32], lanes: &mut [u32]) {
        let depth = self.shape.depth();
        let scale = gradient.unit();
        threads.for_chunks_with(partials, self.shape.piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let (tables, lines) = scratch.split_at_mut(self.tables_len());
            let (tables, lines): (&mut [Table], _) =
                (bytemuck::cast_slice_mut(tables), bytemuck::cast_slice_mut(lines));
            let (partial, first) =
                (i * self.shape.piece / self.shape.outputs, i * self.shape.piece % self.shape.outputs);
            let group = first / (self.shape.outputs / self.shape.patches.groups);
            for block in 0..self.shape.blocks() {
                let pixels = self.shape.block_pixels(partial, block);
                // The last images may be fewer.
                if pixels.is_empty() {
                    break;
                }
                let at = (partial * self.shape.blocks() + block) * self.shape.patches.groups + group;
                let laid = &laid[at * self.block_len()..][..self.block_len()];
                let (each, stride) = (self.tables_of(&pixels), self.stride(pixels.len()));
                // Behind the last pixel there is nothing.
                let lines = &mut lines[..(pixels.len() + self.gemm.floats() - 1) * self.shape.piece];
                self.shape.lines(gradient, pixels, first, (lines, self.shape.piece));
                for start in (0..self.shape.piece).step_by(ROWS) {
                    let columns = ROWS.min(self.shape.piece - start);
                    let order = Order::Columns { columns, stride: self.shape.piece, each: stride };
                    let len = (each * self.gemm.floats() - 1) * self.shape.piece + columns;
                    self.gemm.tables(&lines[start..][..len], order, tables);
                    let mut rows = [Row::default(); ROWS];
                    let rows = &mut rows[..columns];
                    for (j, row) in rows.iter_mut().enumerate() {
                        *row = Row { tables: j * stride, out: (start + j) * depth };
                    }
                    self.gemm.run(Job {
                        tables,
                        rows,
                        segments: &[0],
                        depth: each,
                        laid,
                        columns: depth,
                        scale,
                        c: dw,
                        accumulate: block > 0,
                    });
                }
            }
        });
    }
}
