//! Products of whole numbers of −127 to 127 and codes of one bit, by look-up tables instead of multiplications (LUT-GEMM, [arXiv 2206.09557](https://arxiv.org/abs/2206.09557)).
//!
//! A few numbers and as many codes have a few possible sums of products. A [`Table`] holds them, so bits of a column of codes are a place in it, and one permutation and one
//! addition replace some multiply-adds in each lane. A row of numbers becomes tables once ([`LutGemm::tables`]) and serves every column; codes are laid once as places
//! ([`LutGemm::lay`]) and serve every row.
//!
//! Sums are exact, in whatever order, so every instruction set has a kernel of its own: tables of 32 sums of five in 16 bits (`bytes`), or, where permutations of bytes are what is
//! fast, sums of four as two tables of bytes (`planes`). Where neither is, and for numbers that are not whole, there is [`stack_lut`](crate::stack_lut).
//!
//! The rows of A need not be stored: a row is a list of *segments*, runs of tables anywhere, at the same distances for every row. In a convolution those are the pixels
//! under the taps, so the tables of one pixel serve all taps.

mod bytes;
mod kernels;
mod order;
mod planes;
mod totals;

pub use kernels::{KERNELS, Kernel};
pub use order::Order;

use binary_nets_bits::Codes;

use crate::{Isa, KernelError};

/// Columns of one panel of laid codes.
pub const PANEL: usize = 64;

/// Codes of a column that lie in one laid word, at most.
pub const MOST_CODES: usize = 32;

/// The largest magnitude of the numbers.
pub const MOST: f32 = 127.0;

/// The products of one element of A · B whose sum is exact.
pub const MOST_DEPTH: usize = (1 << f32::MANTISSA_DIGITS) / MOST as usize;

/// All sums of a few numbers, each times the code that its bit in the entry's number stands for: for 0/1 codes the sum of a subset, for ±1 a signed sum.
///
/// What lies in one is the kernel's own affair: sums of five in 16 bits, or two fours in two planes of bytes each.
pub type Table = [f32; ENTRIES];

/// Elements of a table.
pub const ENTRIES: usize = 16;

/// A product with its kernel chosen. Every buffer is the caller's; the caller splits rows among threads.
#[derive(Clone, Copy, Debug)]
pub struct LutGemm {
    kernel: &'static Kernel,
    isa: Isa,
    codes: Codes,
}

/// Where a row of A begins among the tables, and where the row of C that it makes begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The table that segments count from.
    pub tables: usize,
    /// The first element of C.
    pub out: usize,
}

/// One call of [`LutGemm::run`].
pub struct Job<'a> {
    /// The tables of all rows.
    pub tables: &'a [Table],
    /// The rows.
    pub rows: &'a [Row],
    /// Where the tables of each segment begin, from the row's on.
    pub segments: &'a [usize],
    /// Tables of one segment; at least one.
    pub depth: usize,
    /// `[panels, segments]` of [`LutGemm::segment_len`] elements.
    pub laid: &'a [u32],
    /// Columns of B and C.
    pub columns: usize,
    /// The rows of C.
    pub c: &'a mut [f32],
    /// What sums are multiplied by.
    pub scale: f32,
    /// Whether to add to C.
    pub accumulate: bool,
}

impl LutGemm {
    /// Chooses the fastest kernel of `isa` for codes of one kind; there is none where bytes are not permuted.
    pub fn new(isa: Isa, codes: Codes) -> Option<Self> {
        kernels::fastest(isa).map(|kernel| Self { kernel, isa, codes })
    }

    /// Uses `kernel`, whatever it is.
    pub fn with_kernel(kernel: &'static Kernel, codes: Codes) -> Result<Self, KernelError> {
        let isa = kernel.id.available()?;
        Ok(Self { kernel, isa, codes })
    }

    /// Name of the chosen kernel: rows × columns of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.id.name()
    }

    /// The instruction set of the kernel.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Rows of the tile: a block of rows is best a multiple of it.
    pub fn tile_rows(&self) -> usize {
        self.kernel.rows
    }

    /// Floats of one table.
    pub fn floats(&self) -> usize {
        self.kernel.floats
    }

    /// Codes of a column that [`lay`](Self::lay) lays at a time; a multiple of [`floats`](Self::floats), [`MOST_CODES`] at most.
    pub fn codes(&self) -> usize {
        self.kernel.codes
    }

    /// Makes tables of as many times [`floats`](Self::floats) as `x` has.
    ///
    /// # Panics
    /// If `x` ends before the last float of its last table, or `tables` before the last.
    pub fn tables(&self, x: &[f32], order: Order, tables: &mut [Table]) {
        let (count, whole) = order.tables(x.len(), self.floats());
        assert!(whole, "{} floats in tables of {}: {order:?}", x.len(), self.floats());
        assert!(tables.len() >= count, "{} of {count} tables", tables.len());
        (self.kernel.tables)(self.isa, self.codes, x, order, tables);
    }

    /// Elements of laid codes of one segment of `depth` tables in one panel; as many codes as [`codes`](Self::codes) follow each other.
    pub fn segment_len(&self, depth: usize) -> usize {
        (self.kernel.segment_len)(depth)
    }

    /// Elements of laid codes of a panel that [`lay`](Self::lay) writes.
    pub fn laid_len(&self) -> usize {
        self.segment_len(1)
    }

    /// Lays the first [`codes`](Self::codes) of 64 columns, one row of bits after the other, as places.
    ///
    /// # Panics
    /// If `laid` does not have [`laid_len`](Self::laid_len) elements.
    pub fn lay(&self, rows: &[u64; MOST_CODES], laid: &mut [u32]) {
        assert_eq!(laid.len(), self.laid_len(), "length of laid codes");
        (self.kernel.lay)(self.isa, rows, laid);
    }

    /// `C = scale · A · B`, or `C += scale · A · B`, the product rounded before it is added.
    ///
    /// # Panics
    /// If a segment has no table, or a buffer ends before its last element.
    pub fn run(&self, mut job: Job<'_>) {
        let panel = job.segments.len() * self.segment_len(job.depth);
        assert!(job.depth > 0, "a segment of no table");
        assert!(job.laid.len() >= job.columns.div_ceil(PANEL) * panel, "laid codes of {} columns", job.columns);
        (self.kernel.run)(self.isa, &mut job);
    }
}
