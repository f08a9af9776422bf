//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use binary_nets_bits::Codes;

use super::{PLACES, ROWS, Table, WORD, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
use crate::{Isa, arch::scalar::Scalar, vector::Fours};

/// Makes tables of floats and the distance from a row, or line, to the next.
type MakeTables = fn(Isa, Codes, (&[f32], usize), &mut [Table]);

/// Writes sums to rows and so many columns, scaled or added.
type WriteSums = fn(Isa, &[f32], (&[usize], usize), (f32, bool), &mut [f32]);

/// One kernel for products of stacks of floats and codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name has rows × columns of the tile: `stack_lut_16x4_avx512`.
    pub id: KernelId,
    pub(super) tables_of_rows: MakeTables,
    pub(super) tables_of_columns: MakeTables,
    pub(super) lay: fn(Isa, &[u64; WORD], &mut [u8; PLACES]),
    pub(super) add: fn(Isa, &[Table], &[u8], &mut [f32]),
    pub(super) write: WriteSums,
}

/// Every kernel: one for each instruction set.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 1>("stack_lut_16x4_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 2>("stack_lut_16x4_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 4>("stack_lut_16x4_neon"),
    Kernel::of::<Scalar, 16>("stack_lut_16x4_scalar"),
];

/// The kernel of `isa`.
pub(super) fn of(isa: Isa) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.id.is_for(isa)).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A stack is `V` vectors.
    const fn of<S: Fours, const V: usize>(name: &'static str) -> Self {
        const { assert!(V * S::LANES == ROWS, "so many vectors are a stack") };
        Self {
            id: KernelId::of::<S>(name),
            tables_of_rows: |isa, codes, x, tables| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::tables_of_rows(token, codes, x, tables),
                );
            },
            tables_of_columns: |isa, codes, x, tables| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::tables_of_columns(token, codes, x, tables),
                );
            },
            lay: |isa, rows, places| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::lay(token, rows, places),
                );
            },
            add: |isa, tables, places, sums| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::add::<S, V>(token, tables, places, sums),
                );
            },
            write: |isa, sums, extent, finish, c| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::write::<S, V>(token, sums, extent, finish, c),
                );
            },
        }
    }
}
