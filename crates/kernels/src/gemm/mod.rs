//! f32 matrix products with a fixed order of sums.
//!
//! Every element of `C (+)= A · B` is **one ascending chain of fused multiply-adds** over k, starting from C or from 0, whatever the tile, the
//! instruction set or the split of rows: results are bitwise equal everywhere. Blocking along k keeps the rule, as the chain goes on through C.
//!
//! B is packed once into panels as wide as the tile ([`Gemm::pack_b`]); A is a strided view, read in place.

mod kernels;
mod matrix;
mod tile;

pub use kernels::{KERNELS, Kernel};
pub use matrix::Matrix;

use crate::{Isa, KernelError};

/// A matrix product with its kernel chosen. Every buffer is the caller's; the caller splits rows among threads.
#[derive(Clone, Copy, Debug)]
pub struct Gemm {
    kernel: &'static Kernel,
    isa: Isa,
}

/// One call of [`Gemm::run`].
pub(crate) struct Job<'a> {
    /// Rows, columns, products per element.
    pub size: (usize, usize, usize),
    pub a: Matrix<'a>,
    pub packed_b: &'a [f32],
    pub c: &'a mut [f32],
    pub c_stride: usize,
    pub accumulate: bool,
}

impl Gemm {
    /// Chooses the fastest kernel of `isa`.
    pub fn new(isa: Isa) -> Self {
        Self { kernel: kernels::fastest(isa), isa }
    }

    /// Uses `kernel`, whatever it is.
    pub fn with_kernel(kernel: &'static Kernel) -> Result<Self, KernelError> {
        let isa = kernel.id.available()?;
        Ok(Self { kernel, isa })
    }

    /// Name of the chosen kernel: rows × columns of its tile, and the instruction set.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.id.name()
    }

    /// Rows of the tile: a thread's share of rows is best a multiple of it.
    pub fn tile_rows(&self) -> usize {
        self.kernel.rows()
    }

    /// Elements of a packed `B: [k, n]`.
    pub fn packed_b_len(&self, k: usize, n: usize) -> usize {
        n.next_multiple_of(self.kernel.columns()) * k
    }

    /// Packs `b: [k, n]` into panels `[ceil(n / columns), k, columns]`; columns beyond n are 0.
    ///
    /// # Panics
    /// If `packed` does not have [`packed_b_len`](Self::packed_b_len) elements, or `b` ends before its last element.
    pub fn pack_b(&self, k: usize, n: usize, b: Matrix<'_>, packed: &mut [f32]) {
        assert_eq!(packed.len(), self.packed_b_len(k, n), "length of packed B");
        if packed.is_empty() {
            return;
        }
        b.assert_holds("B", k, n);
        self.isa.vectorize(
            #[inline(always)]
            || matrix::pack_panels(self.kernel.columns(), k, n, b, packed),
        );
    }

    /// `C = A · B`, or `C += A · B` where `accumulate`.
    ///
    /// # Shapes
    /// `a: [m, k]`, `packed_b` of `[k, n]`, `c: [m, n]` with rows `c_stride` apart.
    ///
    /// # Panics
    /// If a buffer ends before its last element, or `c_stride < n`.
    pub fn run(
        &self,
        (m, n, k): (usize, usize, usize),
        a: Matrix<'_>,
        packed_b: &[f32],
        c: &mut [f32],
        c_stride: usize,
        accumulate: bool,
    ) {
        assert_eq!(packed_b.len(), self.packed_b_len(k, n), "length of packed B");
        if m == 0 || n == 0 {
            return;
        }
        assert!(c_stride >= n, "rows of C lie {c_stride} apart but have {n} columns");
        assert!(c.len() >= (m - 1) * c_stride + n, "C has {} elements, too few for {m} rows", c.len());
        a.assert_holds("A", m, k);
        (self.kernel.run)(self.isa, &mut Job { size: (m, n, k), a, packed_b, c, c_stride, accumulate });
    }
}
