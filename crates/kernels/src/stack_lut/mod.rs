//! Products of numbers and codes of one bit, by look-up tables that rows share (the method of four Russians: Arlazarov, Dinic, Kronrod and Faradžev 1970).
//!
//! Five numbers and five codes have 32 possible sums of products. Where many rows of numbers meet the same codes, an entry of a [`Table`] is a vector that has a sum for each row of a
//! *stack* of them, and five codes are the place of one entry: adding it replaces five multiply-adds in each row. A few tables lie in the first cache while all columns read them
//! ([`StackLut::add`]); sums of a column lie side by side, until they are written to their rows ([`StackLut::write`]).
//!
//! A [`Lane`] is a float of one row or, for whole numbers, those of two rows in 16 bits: twice as many rows for each look-up.
//!
//! A sum of floats is **one ascending chain of additions** of sums of five, and a sum of five is `fl(fl(fl(±a ± b) + fl(±c ± d)) ± e)`, whatever the instruction set: results are bitwise
//! equal everywhere. A sum of whole numbers is exact.

mod kernels;
mod lane;
mod tile;

pub use kernels::Kernel;
pub use lane::{Lane, MOST_DEPTH, Pair};

use binary_nets_bits::Codes;

use crate::{Isa, KernelError};

/// Lanes of a stack.
pub const LANES: usize = 16;

/// Numbers of each row in one table, and codes of one place.
pub const CODES: usize = 5;

/// All sums of five numbers of each row, each times the code that its bit in the entry's number stands for: for 0/1 codes the sum of a subset, for ±1 a signed sum.
pub type Table<L> = [[L; LANES]; 1 << CODES];

/// Tables that are added at a time, at most: they lie in a first cache of 32 KiB, and 64 channels are no more.
pub const TABLES: usize = 13;

/// Elements of so many tables, in 32 bits each.
pub const TABLES_LEN: usize = (TABLES * LANES) << CODES;

/// Codes of a column that are laid, and added, at a time, at most.
pub const WORD: usize = TABLES * CODES;

/// Columns whose codes are laid at a time.
pub const PANEL: usize = 64;

/// Laid places of a word of a panel.
pub const PLACES: usize = TABLES * PANEL;

/// Numbers of a line that [`StackLut::columns`] reads are a multiple of this.
pub const FOUR: usize = 4;

/// The largest magnitude of whole numbers.
pub const MOST: f32 = 127.0;

const _: () = assert!(WORD as i32 * MOST as i32 <= i16::MAX as i32, "sums of a word fit into 16 bits");

/// A product with its kernel chosen. Every buffer is the caller's; the caller splits rows among threads.
#[derive(Clone, Copy, Debug)]
pub struct StackLut<L: Lane> {
    kernel: &'static Kernel<L>,
    isa: Isa,
    codes: Codes,
}

impl<L: Lane> StackLut<L> {
    /// Chooses the kernel of `isa` for codes of one kind.
    pub fn new(isa: Isa, codes: Codes) -> Self {
        Self { kernel: kernels::of(isa), isa, codes }
    }

    /// Uses `kernel`, whatever it is.
    pub fn with_kernel(kernel: &'static Kernel<L>, codes: Codes) -> Result<Self, KernelError> {
        let isa = kernel.id.available()?;
        Ok(Self { kernel, isa, codes })
    }

    /// Name of the chosen kernel: rows × columns of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.id.name()
    }

    /// Number k of each of the [`LANES`] lines of `x`, which are `stride` apart, becomes column k.
    ///
    /// # Panics
    /// If there are other columns than a multiple of [`FOUR`], or `x` ends before the last number of the last line.
    pub fn columns(&self, x: &[L], stride: usize, columns: &mut [[L; LANES]]) {
        assert!(columns.len().is_multiple_of(FOUR), "{} columns", columns.len());
        assert!(x.len() >= (LANES - 1) * stride + columns.len(), "numbers of {} columns", columns.len());
        (self.kernel.columns)(self.isa, (x, stride), columns);
    }

    /// Makes tables of columns, which begin `stride` lanes apart in `x`; those beyond its end are zeros.
    ///
    /// # Panics
    /// If `x` ends within a column.
    pub fn tables(&self, x: &[L], stride: usize, tables: &mut [Table<L>]) {
        (self.kernel.tables)(self.isa, self.codes, (x, stride), tables);
    }

    /// Lays the codes of 64 columns, one row of bits after the other, as places.
    pub fn lay(&self, rows: &[u64; WORD], places: &mut [u8; PLACES]) {
        (self.kernel.lay)(self.isa, rows, places);
    }

    /// Elements of the sums of so many columns.
    pub fn sums_len(columns: usize) -> usize {
        columns.next_multiple_of(tile::COLUMNS) * L::ROWS
    }

    /// Adds what some tables, [`TABLES`] at most, have at the places of each column: `sums` are those of a stack, `places` the `[panels]` laid ones of a word.
    ///
    /// # Panics
    /// If there are more tables, fewer places, or other sums than [`sums_len`](Self::sums_len) says.
    pub fn add(&self, tables: &[Table<L>], places: &[u8], sums: &mut [L::Sum]) {
        assert!(tables.len() <= TABLES, "{} tables at a time", tables.len());
        assert!(sums.len().is_multiple_of(Self::sums_len(1)), "{} sums", sums.len());
        let panels = sums.len().div_ceil(PANEL * L::ROWS);
        assert!(places.len() >= panels * PLACES, "places of {panels} panels");
        (self.kernel.add)(self.isa, tables, places, sums);
    }

    /// Writes the sums of a stack times `scale` to rows of `c`, or adds them, the product rounded before it is added. The rows begin at `rows`: those of the first number of each lane, and
    /// those of the second. There can be fewer than lanes.
    ///
    /// # Panics
    /// If there are more rows than in a stack, fewer sums, or `c` ends before the last element.
    pub fn write(
        &self,
        sums: &[L::Sum],
        (rows, columns): ([&[usize]; 2], usize),
        (scale, accumulate): (f32, bool),
        c: &mut [f32],
    ) {
        assert!(rows.iter().all(|rows| rows.len() <= LANES) && (L::EACH == 2 || rows[1].is_empty()), "{rows:?}");
        assert!(sums.len() >= Self::sums_len(columns), "sums of {columns} columns");
        (self.kernel.write)(self.isa, sums, (rows, columns), (scale, accumulate), c);
    }
}
