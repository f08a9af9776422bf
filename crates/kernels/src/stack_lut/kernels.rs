//! The lists of kernels: being listed makes a kernel selectable, tested and benchmarked.

use binary_nets_bits::Codes;

use super::{LANES, Lane, PLACES, Pair, Table, WORD, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
use crate::{Isa, arch::scalar::Scalar, vector::Stacks};

/// Makes columns of lines, which are so far apart.
type MakeColumns<L> = fn(Isa, (&[L], usize), &mut [[L; LANES]]);

/// Makes tables of columns, which are so far apart.
type MakeTables<L> = fn(Isa, Codes, (&[L], usize), &mut [Table<L>]);

/// Adds what tables have at places to sums.
type AddTables<L> = fn(Isa, &[Table<L>], &[u8], &mut [<L as Lane>::Sum]);

/// Writes sums to rows and so many columns, scaled or added.
type WriteSums<L> = fn(Isa, &[<L as Lane>::Sum], ([&[usize]; 2], usize), (f32, bool), &mut [f32]);

/// One kernel for products of stacks of numbers and codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<L: Lane> {
    /// The name has rows × columns of the tile: `stack_lut_16x4_avx512`.
    pub id: KernelId,
    pub(super) columns: MakeColumns<L>,
    pub(super) tables: MakeTables<L>,
    pub(super) lay: fn(Isa, &[u64; WORD], &mut [u8; PLACES]),
    pub(super) add: AddTables<L>,
    pub(super) write: WriteSums<L>,
}

/// Those of floats.
pub(super) static OF_FLOATS: &[Kernel<f32>] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 1>("stack_lut_16x4_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 2>("stack_lut_16x4_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 4>("stack_lut_16x4_neon"),
    Kernel::of::<Scalar, 16>("stack_lut_16x4_scalar"),
];

/// Those of pairs of whole numbers.
pub(super) static OF_PAIRS: &[Kernel<Pair>] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 1>("stack_lut_32x4_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 2>("stack_lut_32x4_avx2"),
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 4>("stack_lut_32x4_neon"),
    Kernel::of::<Scalar, 16>("stack_lut_32x4_scalar"),
];

/// The kernel of `isa`.
pub(super) fn of<L: Lane>(isa: Isa) -> &'static Kernel<L> {
    L::kernels().iter().find(|kernel| kernel.id.is_for(isa)).expect("every instruction set has a kernel")
}

impl<L: Lane> Kernel<L> {
    /// A stack is `V` vectors.
    const fn of<S: Stacks<L>, const V: usize>(name: &'static str) -> Self {
        const { assert!(V * S::WIDTH == LANES && V * S::LANES == LANES, "so many vectors are a stack") };
        Self {
            id: KernelId::of::<S>(name),
            columns: |isa, x, columns| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::columns(token, x, columns),
                );
            },
            tables: |isa, codes, x, tables| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::tables(token, codes, x, tables),
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
                    |token: S| tile::add::<L, S, V>(token, tables, places, sums),
                );
            },
            write: |isa, sums, extent, finish, c| {
                run_on(
                    isa,
                    #[inline(always)]
                    |token: S| tile::write::<L, S, V>(token, sums, extent, finish, c),
                );
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tile::COLUMNS;
    use super::{Lane, Pair};

    fn check<L: Lane>() {
        for kernel in L::kernels() {
            let tile = format!("stack_lut_{}x{COLUMNS}_", L::ROWS);
            assert_eq!(kernel.id.name().strip_prefix(tile.as_str()), Some(kernel.id.isa_name()));
        }
    }

    #[test]
    fn names_tell_the_tile() {
        check::<f32>();
        check::<Pair>();
    }
}
