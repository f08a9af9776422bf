//! Products of floats and codes of one bit, by look-up tables that sixteen rows share (the method of four Russians: Arlazarov, Dinic, Kronrod and Faradžev 1970).
//!
//! Four floats and four codes have 16 possible sums of products. Where many rows of floats meet the same codes, an entry of a [`Table`] is a vector, with a lane for each row of a
//! *stack* of [`ROWS`] of them, and four codes are the place of one entry: adding it replaces four multiply-adds in each lane. A few tables lie in the first cache while all
//! columns read them ([`StackLut::add`]); sums of a column lie side by side, a lane for each row, until they are written ([`StackLut::write`]).
//!
//! A sum is **one ascending chain of additions** of such sums of four, and a sum of four is `fl(fl(±a ± b) + fl(±c ± d))`, whatever the instruction set: results are bitwise equal
//! everywhere.

mod kernels;
mod tile;

pub use kernels::{KERNELS, Kernel};

use binary_nets_bits::Codes;

use crate::{Isa, KernelError};

/// Rows of a stack.
pub const ROWS: usize = 16;

/// Floats of each row in one table.
pub const FLOATS: usize = 4;

/// All sums of four floats of each row, each times the code that its bit in the entry's number stands for: for 0/1 codes the sum of a subset, for ±1 a signed sum.
pub type Table = [[f32; ROWS]; 1 << FLOATS];

/// Tables that are added at a time, at most: half of a first cache.
pub const TABLES: usize = 16;

/// Columns whose codes are laid at a time.
pub const PANEL: usize = 64;

/// Codes of a column that are laid at a time.
pub const WORD: usize = 32;

/// Laid places of a word of a panel.
pub const PLACES: usize = WORD / FLOATS * PANEL;

/// A product with its kernel chosen. Every buffer is the caller's; the caller splits rows among threads.
#[derive(Clone, Copy, Debug)]
pub struct StackLut {
    kernel: &'static Kernel,
    isa: Isa,
    codes: Codes,
}

impl StackLut {
    /// Chooses the kernel of `isa` for codes of one kind.
    pub fn new(isa: Isa, codes: Codes) -> Self {
        Self { kernel: kernels::of(isa), isa, codes }
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

    /// Makes tables of the first floats of [`ROWS`] rows, which are `stride` apart.
    ///
    /// # Panics
    /// If `x` ends before the last float of the last row.
    pub fn tables_of_rows(&self, x: &[f32], stride: usize, tables: &mut [Table]) {
        assert!(x.len() >= (ROWS - 1) * stride + tables.len() * FLOATS, "floats of {} tables", tables.len());
        (self.kernel.tables_of_rows)(self.isa, self.codes, (x, stride), tables);
    }

    /// Makes tables of the first floats of [`ROWS`] rows that stand upright: number k of each is in line k of `x`, and lines are `stride` apart.
    ///
    /// # Panics
    /// If `x` ends before the last float of the last line.
    pub fn tables_of_columns(&self, x: &[f32], stride: usize, tables: &mut [Table]) {
        let lines = tables.len() * FLOATS;
        assert!(x.len() + stride >= lines * stride + ROWS, "floats of {} tables", tables.len());
        (self.kernel.tables_of_columns)(self.isa, self.codes, (x, stride), tables);
    }

    /// Lays the codes of 64 columns, one row of bits after the other, as places.
    pub fn lay(&self, rows: &[u64; WORD], places: &mut [u8; PLACES]) {
        (self.kernel.lay)(self.isa, rows, places);
    }

    /// Elements of the sums of so many columns.
    pub fn sums_len(columns: usize) -> usize {
        columns.next_multiple_of(tile::COLUMNS) * ROWS
    }

    /// Adds what some tables, [`TABLES`] at most, have at the places of each column: `sums` are those of a stack, `places` are `[words, panels]` laid ones.
    ///
    /// # Panics
    /// If there are more tables, or fewer places.
    pub fn add(&self, tables: &[Table], places: &[u8], sums: &mut [f32]) {
        assert!(tables.len() <= TABLES, "{} tables at a time", tables.len());
        let panels = sums.len().div_ceil(PANEL * ROWS);
        assert!(places.len() >= (tables.len() * FLOATS).div_ceil(WORD) * panels * PLACES, "places of {panels} panels");
        (self.kernel.add)(self.isa, tables, places, sums);
    }

    /// Writes the sums of a stack times `scale` to rows of `c`, which begin at `rows`, or adds them, the product rounded before it is added. There can be fewer rows than in the
    /// stack.
    ///
    /// # Panics
    /// If `c` ends before the last element.
    pub fn write(
        &self,
        sums: &[f32],
        (rows, columns): (&[usize], usize),
        (scale, accumulate): (f32, bool),
        c: &mut [f32],
    ) {
        assert!(sums.len() >= Self::sums_len(columns), "sums of {columns} columns");
        (self.kernel.write)(self.isa, sums, (rows, columns), (scale, accumulate), c);
    }
}
