//! Products of floats and codes of one bit, by look-up tables instead of multiplications (LUT-GEMM, [arXiv 2206.09557](https://arxiv.org/abs/2206.09557)).
//!
//! Four floats and four codes have 16 possible sums of products. A [`Table`] holds them, so four bits of a column of codes are a place in it, and one permutation and one
//! addition replace four multiply-adds in each lane. A row of floats becomes tables once ([`LutGemm::tables`]) and serves every column; codes are laid once as places
//! ([`LutGemm::lay`]) and serve every row.
//!
//! Every element of `C (+)= A · B` is **one ascending chain of additions** of such sums of four, starting from C or from 0, and a sum of four is
//! `fl(fl(fl(±a ± b) ± c) ± d)`, whatever the tile, the instruction set or the split of rows: results are bitwise equal everywhere.
//!
//! The rows of A need not be stored: a row is a list of *segments*, runs of tables anywhere, at the same distances for every row. In a convolution those are the pixels
//! under the taps, so the tables of one pixel serve all taps.

mod kernels;
mod tables;
mod tile;
mod transpose;

pub use kernels::{KERNELS, Kernel};
pub use tables::{Fours, Table};
pub use transpose::transpose;

use binary_nets_bits::Codes;

use crate::{Isa, KernelError};

/// Columns of one panel of laid codes.
pub const PANEL: usize = 64;

/// Codes of a column that lie in one laid word.
pub const WORD: usize = 32;

/// Floats of one table.
pub const FLOATS: usize = 4;

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
    /// Tables of one segment.
    pub depth: usize,
    /// `[panels, segments, words of a segment, PANEL]`.
    pub laid: &'a [u32],
    /// Columns of B and C.
    pub columns: usize,
    /// The rows of C.
    pub c: &'a mut [f32],
    /// Whether to add to C.
    pub accumulate: bool,
}

impl LutGemm {
    /// Chooses the fastest kernel of `isa` for codes of one kind.
    pub fn new(isa: Isa, codes: Codes) -> Self {
        Self { kernel: kernels::fastest(isa), isa, codes }
    }

    /// Uses `kernel`, whatever it is.
    pub fn with_kernel(kernel: &'static Kernel, codes: Codes) -> Result<Self, KernelError> {
        let isa = kernel.isa().ok_or(KernelError::Unavailable { kernel: kernel.name(), isa: kernel.isa_name() })?;
        Ok(Self { kernel, isa, codes })
    }

    /// Name of the chosen kernel: rows × columns of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.name()
    }

    /// The instruction set of the kernel.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Rows of the tile: a block of rows is best a multiple of it.
    pub fn tile_rows(&self) -> usize {
        self.kernel.rows()
    }

    /// Makes tables of as many fours as `x` has.
    ///
    /// # Panics
    /// If a row of `x` ends before its last column, or `tables` before the last.
    pub fn tables(&self, x: &[f32], fours: Fours, tables: &mut [Table]) {
        (self.kernel.tables)(self.isa, self.codes, x, fours, tables);
    }

    /// Lays 32 codes of 64 columns, one row of bits after the other, as words of places.
    pub fn lay(&self, rows: &[u64; WORD], laid: &mut [u32; PANEL]) {
        (self.kernel.lay)(self.isa, rows, laid);
    }

    /// Laid words of one segment of `depth` tables in one panel.
    pub fn segment_words(depth: usize) -> usize {
        depth.div_ceil(WORD / FLOATS) * PANEL
    }

    /// `C = A · B`, or `C += A · B`.
    ///
    /// # Panics
    /// If a buffer ends before its last element.
    pub fn run(&self, mut job: Job<'_>) {
        let panel = job.segments.len() * Self::segment_words(job.depth);
        assert!(job.laid.len() >= job.columns.div_ceil(PANEL) * panel, "laid codes of {} columns", job.columns);
        (self.kernel.run)(self.isa, self.codes, &mut job);
    }
}
