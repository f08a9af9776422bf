//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use binary_nets_bits::Codes;

#[cfg(target_arch = "x86_64")]
use super::bytes;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::planes;
use super::{Job, MOST_CODES, Order, Table};
use crate::Isa;
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
#[cfg(target_arch = "x86_64")]
use crate::vector::ByteLookups;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::vector::Planes;

/// One kernel for products of whole numbers and codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name has rows × columns of the tile: `lut_gemm_bytes_8x64_avx512`.
    pub id: KernelId,
    pub(super) rows: usize,
    pub(super) floats: usize,
    pub(super) codes: usize,
    pub(super) segment_len: fn(usize) -> usize,
    pub(super) tables: fn(Isa, Codes, &[f32], Order, &mut [Table]),
    pub(super) lay: fn(Isa, &[u64; MOST_CODES], &mut [u32]),
    pub(super) run: fn(Isa, &mut Job<'_>),
}

/// Every kernel; of one instruction set, the fastest first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of_bytes::<Avx512, 8, 2>("lut_gemm_bytes_8x64_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of_planes::<Avx2, 2, 2>("lut_gemm_bytes_2x64_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of_planes::<Neon, 2, 4>("lut_gemm_bytes_2x64_neon"),
];

/// The first kernel listed for `isa`, if it permutes bytes.
pub(super) fn fastest(isa: Isa) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.id.is_for(isa))
}

impl Kernel {
    /// A tile of `M` rows × `N` vectors of columns, for whole numbers of −127 to 127.
    #[cfg(target_arch = "x86_64")]
    const fn of_bytes<S: ByteLookups, const M: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(M <= 8, "the tile handles at most 8 rows") };
        Self {
            id: KernelId::of::<S>(name),
            rows: M,
            floats: bytes::FLOATS,
            codes: bytes::WORD,
            segment_len: bytes::segment_len,
            tables: |isa, codes, x, order, tables| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| bytes::tables(token, codes, x, order, tables),
                );
            },
            lay: |isa, rows, laid| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| bytes::lay(token, rows, laid),
                );
            },
            run: |isa, job| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| bytes::run::<S, M, N>(token, job),
                );
            },
        }
    }

    /// A tile of `M` rows × `N` vectors of columns, for whole numbers of −127 to 127 whose sums lie in two planes of bytes.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    const fn of_planes<S: Planes, const M: usize, const N: usize>(name: &'static str) -> Self {
        Self {
            id: KernelId::of::<S>(name),
            rows: M,
            floats: planes::FLOATS,
            codes: planes::WORD,
            segment_len: planes::segment_len,
            tables: |isa, codes, x, order, tables| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| planes::tables(token, codes, x, order, tables),
                );
            },
            lay: |isa, rows, laid| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| planes::lay(token, rows, laid),
                );
            },
            run: |isa, job| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| planes::run::<S, M, N>(token, job),
                );
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            let (name, isa_name) = (kernel.id.name(), kernel.id.isa_name());
            let start = format!("lut_gemm_bytes_{}x", kernel.rows);
            assert!(name.starts_with(&start) && name.ends_with(&format!("_{isa_name}")), "{name}");
        }
    }
}
