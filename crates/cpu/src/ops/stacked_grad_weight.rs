//! The gradient of a convolution of codes by its weights, with tables that rows share: a stack is neighbouring output channels.
//!
//! The tables of a few pixels of dy stay in the first cache while all bits of their patches are looked up.

use binary_nets_graph::ops::Rounding;
use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{CODES, LANES, Lane, PLACES, TABLES_LEN, Table, WORD};

use super::binary_grad_weight::BinaryGradWeight;
use super::gradient_lines::Gradient;
use crate::threads::Threads;

/// dw from x and dy.
pub struct StackedGradWeight<L: Lane> {
    lut: StackLut<L>,
    shape: BinaryGradWeight,
}

/// What a thread writes besides dw.
struct Scratch<'a, L: Lane> {
    tables: &'a mut [Table<L>],
    /// The sums of one stack for one block, of floats.
    sums: &'a mut [L::Sum],
    /// Those of all stacks for all blocks.
    totals: &'a mut [L::Sum],
    /// Of dy of a block, `[pixels, stacks, LANES]`: the rows of a lane are neighbours.
    lines: &'a mut [L],
}

impl<L: Lane> StackedGradWeight<L> {
    /// The kernel with that product.
    pub fn new(shape: BinaryGradWeight) -> Self {
        Self { lut: StackLut::new(shape.isa, shape.codes), shape }
    }

    /// Name of the kernel.
    pub fn kernel_name(&self) -> &'static str {
        self.lut.kernel_name()
    }

    /// What is multiplied.
    pub fn shape(&self) -> &BinaryGradWeight {
        &self.shape
    }

    /// Bytes of one word of pixels, `[panels]`.
    fn word_len(&self) -> usize {
        self.shape.panels() * PLACES
    }

    /// Bytes of one group of one block, `[words, panels]`.
    fn block_len(&self) -> usize {
        self.shape.block.div_ceil(WORD) * self.word_len()
    }

    /// Elements of `[partials, blocks, groups, words, panels]` places.
    pub fn laid_len(&self) -> usize {
        let blocks = self.shape.partials() * self.shape.blocks() * self.shape.patches.groups;
        blocks * self.block_len() / size_of::<u32>()
    }

    /// Elements of the sums of one stack.
    fn sums_len(&self) -> usize {
        StackLut::<L>::sums_len(self.shape.depth())
    }

    /// Stacks of one piece.
    fn stacks(&self) -> usize {
        self.shape.piece.div_ceil(L::ROWS)
    }

    /// Elements of each part of the scratch memory.
    fn lens(&self) -> [usize; 4] {
        let stacks = self.stacks();
        [
            TABLES_LEN,
            if L::EXACT { 0 } else { self.sums_len() },
            stacks * self.sums_len(),
            self.shape.block * stacks * LANES,
        ]
    }

    /// Scratch elements of a lane, where bits of patches are laid, too.
    pub fn lane_len(&self) -> usize {
        let rows = self.shape.panels() * WORD * size_of::<u64>() / size_of::<u32>();
        rows.max(self.lens().iter().sum()).next_multiple_of(LANES)
    }

    fn scratch<'a>(&self, scratch: &'a mut [u32]) -> Scratch<'a, L> {
        let [tables, sums, totals, lines] = self.lens();
        let (tables, scratch) = scratch.split_at_mut(tables);
        let (sums, scratch) = scratch.split_at_mut(sums);
        let (totals, scratch) = scratch.split_at_mut(totals);
        let lines = &mut scratch[..lines];
        Scratch {
            tables: bytemuck::cast_slice_mut(tables),
            sums: bytemuck::cast_slice_mut(sums),
            totals: bytemuck::cast_slice_mut(totals),
            lines: bytemuck::cast_slice_mut(lines),
        }
    }

    /// Lays the patches of all pixels.
    pub fn lay(&self, threads: Threads, codes: &[u64], laid: &mut [u32], lanes: &mut [u32]) {
        let laid = bytemuck::cast_slice_mut::<u32, u8>(laid);
        threads.for_chunks_with(laid, self.block_len(), lanes, self.lane_len(), |i, laid, scratch| {
            let rows = &mut bytemuck::cast_slice_mut(scratch).as_chunks_mut().0[..self.shape.panels()];
            let mut places = laid.as_chunks_mut().0.iter_mut();
            self.shape.words(codes, self.shape.laid_block(i), rows, |rows| {
                self.lut.lay(rows, places.next().expect("places of all words"));
            });
        });
    }

    /// Reads dy in the order of memory: for each of some pixels a line of the output channels of a piece from `first` on, and zeros.
    fn make_lines(
        &self,
        (gradient, rounding): (Gradient<'_>, Option<&Rounding>),
        (start, first): (usize, usize),
        lines: &mut [L],
    ) {
        self.shape.isa.vectorize(
            #[inline(always)]
            || {
                for (line, place) in lines.chunks_exact_mut(self.stacks() * LANES).zip(self.shape.places(start)) {
                    let (line, rest) = bytemuck::cast_slice_mut(line).split_at_mut(self.shape.piece);
                    rest.fill(L::number(0.0));
                    self.shape.line((gradient, rounding), place, first, L::number, line);
                }
            },
        );
    }

    /// Adds the products of a block to the sums of a stack.
    fn add(&self, stack: usize, lines: &[L], words: &[u8], tables: &mut [Table<L>], sums: &mut [L::Sum]) {
        let stride = self.stacks() * LANES;
        for (lines, words) in lines.chunks(WORD * stride).zip(words.chunks(self.word_len())) {
            let tables = &mut tables[..(lines.len() / stride).div_ceil(CODES)];
            // As far as the last pixel's stack.
            let end = lines.len() - stride + (stack + 1) * LANES;
            self.lut.tables(&lines[stack * LANES..end], stride, tables);
            self.lut.add(tables, words, sums);
        }
    }

    /// The partial sums, `[partials, outputs, taps · channels]`.
    pub fn sum(
        &self,
        threads: Threads,
        (gradient, rounding): (Gradient<'_>, Option<&Rounding>),
        laid: &[u32],
        partials: &mut [f32],
        lanes: &mut [u32],
    ) {
        let BinaryGradWeight { piece, outputs, ref patches, .. } = self.shape;
        let depth = self.shape.depth();
        let laid: &[u8] = bytemuck::cast_slice(laid);
        threads.for_chunks_with(partials, piece * depth, lanes, self.lane_len(), |i, dw, scratch| {
            let Scratch { tables, sums, totals, lines } = self.scratch(scratch);
            let stride = self.stacks() * LANES;
            let (partial, first) = (i * piece / outputs, i * piece % outputs);
            let group = first / (outputs / patches.groups);
            totals.fill(bytemuck::Zeroable::zeroed());
            for block in 0..self.shape.blocks() {
                let pixels = self.shape.block_pixels(partial, block);
                // The last images may be fewer.
                if pixels.is_empty() {
                    break;
                }
                let lines = &mut lines[..pixels.len() * stride];
                self.make_lines((gradient, rounding), (pixels.start, first), lines);
                let at = (partial * self.shape.blocks() + block) * patches.groups + group;
                let words = &laid[at * self.block_len()..][..self.block_len()];
                for (stack, totals) in totals.chunks_exact_mut(self.sums_len()).enumerate() {
                    if L::EXACT {
                        self.add(stack, lines, words, tables, totals);
                        continue;
                    }
                    // Chains of floats begin anew with each block.
                    sums.fill(bytemuck::Zeroable::zeroed());
                    self.add(stack, lines, words, tables, sums);
                    self.shape.isa.vectorize(
                        #[inline(always)]
                        || totals.iter_mut().zip(&*sums).for_each(|(total, sum)| *total = L::plus(*total, *sum)),
                    );
                }
            }
            let scale = rounding.map_or(1.0, |rounding| rounding.unit);
            for (stack, totals) in totals.chunks_exact(self.sums_len()).enumerate() {
                let mut starts = [[0; LANES]; 2];
                let mut rows = [&[][..]; 2];
                for (i, (rows, starts)) in rows.iter_mut().zip(&mut starts).enumerate().take(L::EACH) {
                    let all = (stack * L::ROWS + i..piece.min((stack + 1) * L::ROWS)).step_by(L::EACH);
                    let count = all.len();
                    starts.iter_mut().zip(all).for_each(|(start, row)| *start = row * depth);
                    *rows = &starts[..count];
                }
                self.lut.write(totals, (rows, depth), (scale, false), dw);
            }
        });
    }
}
