//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use super::{Job, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
use crate::{Isa, arch::scalar::Scalar, vector::Floats};

/// One matrix product kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name has rows × columns of the tile: `gemm_6x64_avx512`.
    pub id: KernelId,
    rows: usize,
    columns: usize,
    pub(super) run: fn(Isa, &mut Job<'_>),
}

/// Every kernel; of one instruction set, the fastest first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 6, 4>("gemm_6x64_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 6, 2>("gemm_6x16_avx2"),
    // 24 sums, 4 vectors of B, and A by lanes of loads: of 38 instructions 24 multiply-adds are the only ones of the vector pipes.
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 6, 4>("gemm_6x16_neon"),
    Kernel::of::<Scalar, 4, 4>("gemm_4x4_scalar"),
];

/// The first kernel listed for `isa`.
pub(super) fn fastest(isa: Isa) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.id.is_for(isa)).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `M` rows × `N` vectors of columns.
    const fn of<S: Floats, const M: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(M <= 6 && N * S::LANES <= 64, "the tile handles at most 6 × 64") };
        Self { id: KernelId::of::<S>(name), rows: M, columns: N * S::LANES, run: run::<S, M, N> }
    }

    /// Rows of the tile.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the tile, the width of a panel of B.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }
}

fn run<S: Floats, const M: usize, const N: usize>(isa: Isa, job: &mut Job<'_>) {
    run_on(
        isa,
        #[inline(always)]
        |token: S| tile::run::<S, M, N>(token, job),
    );
}

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            assert_eq!(kernel.id.name(), format!("gemm_{}x{}_{}", kernel.rows, kernel.columns, kernel.id.isa_name()));
        }
    }
}
