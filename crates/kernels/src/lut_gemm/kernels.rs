//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use binary_nets_bits::Codes;

#[cfg(target_arch = "x86_64")]
use super::bytes;
use super::{Job, MOST_CODES, Order, PANEL, Table, floats};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
#[cfg(target_arch = "x86_64")]
use crate::vector::ByteLookups;
use crate::{Isa, arch::scalar::Scalar, vector::Lookups, vector::Token};

/// One kernel for products of floats and codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    name: &'static str,
    isa_name: &'static str,
    detect: fn() -> Option<Isa>,
    bytes: bool,
    rows: usize,
    floats: usize,
    codes: usize,
    pub(super) segment_len: fn(usize) -> usize,
    pub(super) tables: fn(Isa, Codes, &[f32], Order, &mut [Table]),
    pub(super) lay: fn(Isa, &[u64; MOST_CODES], &mut [u32]),
    pub(super) run: fn(Isa, Codes, &mut Job<'_>),
}

/// Every kernel; of one instruction set, the fastest first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of_bytes::<Avx512, 8, 2>("lut_gemm_bytes_8x64_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of_floats::<Avx512, 6, 4>("lut_gemm_6x64_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of_floats::<Avx2, 4, 2>("lut_gemm_4x16_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of_floats::<Neon, 4, 4>("lut_gemm_4x16_neon"),
    Kernel::of_floats::<Scalar, 4, 4>("lut_gemm_4x4_scalar"),
];

/// The first kernel listed for `isa`, for bytes or for any floats.
pub(super) fn fastest(isa: Isa, bytes: bool) -> &'static Kernel {
    let fits = |kernel: &&Kernel| kernel.isa_name == isa.name() && (bytes || !kernel.bytes);
    KERNELS.iter().find(fits).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `M` rows × `N` vectors of columns, for any floats.
    const fn of_floats<S: Lookups, const M: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(M <= 6 && PANEL.is_multiple_of(N * S::LANES), "the tile handles at most 6 × 64") };
        Self {
            name,
            isa_name: S::NAME,
            detect: || S::detect().map(S::isa),
            bytes: false,
            rows: M,
            floats: floats::FLOATS,
            codes: floats::WORD,
            segment_len: floats::segment_len,
            tables: |isa, codes, x, order, tables| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || floats::tables(token, codes, x, order, tables),
                );
            },
            lay: |isa, rows, laid| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || token.transpose(rows, laid.first_chunk_mut().expect("a word of each column")),
                );
            },
            run: |isa, codes, job| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || floats::run::<S, M, N>(token, codes, job),
                );
            },
        }
    }

    /// A tile of `M` rows × `N` vectors of columns, for whole numbers of −127 to 127.
    #[cfg(target_arch = "x86_64")]
    const fn of_bytes<S: ByteLookups, const M: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(M <= 8, "the tile handles at most 8 rows") };
        Self {
            name,
            isa_name: S::NAME,
            detect: || S::detect().map(S::isa),
            bytes: true,
            rows: M,
            floats: bytes::FLOATS,
            codes: bytes::WORD,
            segment_len: bytes::segment_len,
            tables: |isa, codes, x, order, tables| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || bytes::tables(token, codes, x, order, tables),
                );
            },
            lay: |isa, rows, laid| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || bytes::lay(token, rows, laid),
                );
            },
            run: |isa, _, job| {
                let token = bound::<S>(isa);
                token.vectorize(
                    #[inline(always)]
                    || bytes::run::<S, M, N>(token, job),
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

    /// Whether it multiplies whole numbers of −127 to 127 alone.
    pub fn of_whole_numbers(&self) -> bool {
        self.bytes
    }

    /// Rows of the tile.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Floats of one table.
    pub(super) fn floats(&self) -> usize {
        self.floats
    }

    /// Codes of one laid word.
    pub(super) fn codes(&self) -> usize {
        self.codes
    }
}

fn bound<S: Token>(isa: Isa) -> S {
    S::of(isa).expect("a kernel is bound to its own instruction set")
}

#[cfg(test)]
mod tests {
    use super::{KERNELS, Kernel};

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            let Kernel { name, rows, bytes, isa_name, .. } = kernel;
            let start = format!("lut_gemm_{}{rows}x", if *bytes { "bytes_" } else { "" });
            assert!(name.starts_with(&start) && name.ends_with(&format!("_{isa_name}")), "{name}");
        }
    }
}
