//! The gradient of a convolution of codes by its weights, with tables that rows share: a stack is neighbouring output channels.
//!
//! The tables of a few pixels of dy stay in the first cache while all bits of their patches are looked up.

use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{FLOATS, PLACES, ROWS, TABLES, Table, WORD};

use super::binary_grad_weight::{BinaryGradWeight, Gradient, Product};
use crate::threads::Threads;

/// Elements of a table.
const TABLE: usize = size_of::<Table>() / size_of::<f32>();

/// Pixels whose tables are added at a time.
const PIXELS: usize = TABLES * FLOATS;

/// dw from x and dy.
pub struct StackedGradWeight {
    lut: StackLut,
    shape: BinaryGradWeight,
}

impl StackedGradWeight {
    /// The kernel with that product.
    pub fn new(shape: BinaryGradWeight) -> Self {
        Self { lut: StackLut::new(shape.isa, shape.codes), shape }
    }

    /// Bytes of one word of pixels, `[panels]`.
    fn word_len(&self) -> usize {
        self.shape.panels() * PLACES
    }

    /// Bytes of one group of one block, `[words, panels]`.
    fn block_len(&self) -> usize {
        self.shape.block.div_ceil(WORD) * self.word_len()
    }

    /// Elements of the sums of one stack.
    fn sums_len(&self) -> usize {
        StackLut::sums_len(self.shape.depth())
    }

    /// Stacks of one piece.
    fn stacks(&self) -> usize {
        self.shape.piece.div_ceil(ROWS)
    }

    /// Elements of the lines of dy of a block.
    fn lines_len(&self) -> usize {
        self.shape.block.next_multiple_of(FLOATS) * self.stacks() * ROWS
    }
}

impl Product for StackedGradWeight {
    fn kernel_name(&self) -> &'static str {
        self.lut.kernel_name()
    }

    fn shape(&self) -> &BinaryGradWeight {
        &self.shape
    }

    /// `[partials, blocks, groups, words, panels]` places.
    fn laid_len(&self) -> usize {
        let blocks = self.shape.partials() * self.shape.blocks() * self.shape.patches.groups;
        blocks * self.block_len() / size_of::<u32>()
    }

    /// Rows of bits that are laid; or tables, lines of dy, the sums of a stack for one block, and those of all stacks for all blocks.
    fn lane_len(&self) -> usize {
        let rows = self.shape.panels() * WORD * size_of::<u64>() / size_of::<u32>();
        rows.max(TABLES * TABLE + self.lines_len() + (1 + self.stacks()) * self.sums_len()).next_multiple_of(ROWS)
    }

    fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]) {
        let laid = bytemuck::cast_slice_mut::<u32, u8>(laid);
        threads.for_chunks_with(laid, self.block_len(), lanes, self.lane_len(), |i, laid, scratch| {
            let laid = laid.as_chunks_mut().0;
            let rows = &mut bytemuck::cast_slice_mut(scratch).as_chunks_mut().0[..self.shape.panels()];
            self.shape.words(codes, self.shape.laid_block(i), WORD, rows, |[word, panel], rows| {
                self.lut.lay(rows, &mut laid[word * self.shape.panels() + panel]);
            });
        });
    }

    fn sum(&self, threads: Threads, gradient: Gradient<'_>, laid: &[u32], partials: &mut [f32], lanes: &mut [u32]) {
        let BinaryGradWeight { piece, outputs, ref patches, .. } = self.shape;
        let depth = self.shape.depth();
        let scale = gradient.unit();
        let laid: &[u8] = bytemuck::cast_slice(laid);
        threads.for_chunks_with(partials, piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let (tables, scratch) = bytemuck::cast_slice_mut(scratch).split_at_mut(TABLES * TABLE);
            let tables: &mut [Table] = bytemuck::cast_slice_mut(tables);
            let (lines, scratch) = scratch.split_at_mut(self.lines_len());
            let (sums, scratch) = scratch.split_at_mut(self.sums_len());
            let totals = &mut scratch[..self.stacks() * self.sums_len()];
            let stride = self.stacks() * ROWS;
            let (partial, first) = (i * piece / outputs, i * piece % outputs);
            let group = first / (outputs / patches.groups);
            for block in 0..self.shape.blocks() {
                let pixels = self.shape.block_pixels(partial, block);
                // The last images may be fewer.
                if pixels.is_empty() {
                    break;
                }
                // Behind the last pixel there is nothing.
                let lines = &mut lines[..pixels.len().next_multiple_of(FLOATS) * stride];
                self.shape.lines(gradient, pixels, first, (lines, stride));
                let at = (partial * self.shape.blocks() + block) * patches.groups + group;
                let words = &laid[at * self.block_len()..][..self.block_len()];
                for (stack, totals) in totals.chunks_exact_mut(self.sums_len()).enumerate() {
                    sums.fill(0.0);
                    for (lines, words) in
                        lines.chunks(PIXELS * stride).zip(words.chunks(PIXELS / WORD * self.word_len()))
                    {
                        let tables = &mut tables[..lines.len() / stride / FLOATS];
                        self.lut.tables_of_columns(&lines[stack * ROWS..], stride, tables);
                        self.lut.add(tables, words, sums);
                    }
                    self.lut.isa().vectorize(
                        #[inline(always)]
                        || {
                            for (total, sum) in totals.iter_mut().zip(&*sums) {
                                let product = scale * sum;
                                *total = if block == 0 { product } else { *total + product };
                            }
                        },
                    );
                }
            }
            for (stack, totals) in totals.chunks_exact(self.sums_len()).enumerate() {
                let rows: [usize; ROWS] = std::array::from_fn(|row| (stack * ROWS + row) * depth);
                let count = ROWS.min(piece - stack * ROWS);
                self.lut.write(totals, (&rows[..count], depth), (1.0, false), dw);
            }
        });
    }
}
