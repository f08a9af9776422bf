//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use binary_nets_bits::Codes;

use super::{Fours, Job, PANEL, Table, WORD, tables, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::{Isa, arch::scalar::Scalar, vector::Lookups};

/// One kernel for products of floats and codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    name: &'static str,
    isa_name: &'static str,
    detect: fn() -> Option<Isa>,
    rows: usize,
    pub(super) tables: fn(Isa, Codes, &[f32], Fours, &mut [Table]),
    pub(super) lay: fn(Isa, &[u64; WORD], &mut [u32; PANEL]),
    pub(super) run: fn(Isa, Codes, &mut Job<'_>),
}

/// Every kernel; of one instruction set, the fastest first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 6, 4>("lut_gemm_6x64_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 4, 2>("lut_gemm_4x16_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 4, 4>("lut_gemm_4x16_neon"),
    Kernel::of::<Scalar, 4, 4>("lut_gemm_4x4_scalar"),
];

/// The first kernel listed for `isa`.
pub(super) fn fastest(isa: Isa) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.isa_name == isa.name()).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `M` rows × `N` vectors of columns.
    const fn of<S: Lookups, const M: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(M <= 6 && PANEL.is_multiple_of(N * S::LANES), "the tile handles at most 6 × 64") };
        Self {
            name,
            isa_name: S::NAME,
            detect: || S::detect().map(S::isa),
            rows: M,
            tables: |isa, codes, x, fours, tables| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || tables::fill(token, codes, x, fours, tables),
                );
            },
            lay: |isa, rows, laid| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || token.transpose(rows, laid),
                );
            },
            run: |isa, codes, job| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || tile::run::<S, M, N>(token, codes, job),
                );
            },
        }
    }

    /// Rows × columns of the tile, and the instruction set: `lut_gemm_6x64_avx512`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The instruction set it needs.
    pub fn isa_name(&self) -> &'static str {
        self.isa_name
    }

    /// The instruction set it runs on, if this machine has it.
    pub fn isa(&self) -> Option<Isa> {
        (self.detect)()
    }

    /// Rows of the tile.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

fn bound<S: Lookups>(isa: Isa) -> S {
    S::of(isa).expect("a kernel is bound to its own instruction set")
}

#[cfg(test)]
mod tests {
    use super::{KERNELS, Kernel};

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            let Kernel { name, rows, isa_name, .. } = kernel;
            assert!(
                name.starts_with(&format!("lut_gemm_{rows}x")) && name.ends_with(&format!("_{isa_name}")),
                "{name}"
            );
        }
    }
}
