//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use super::{CHUNK, Dot, Form, Job, table, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
use crate::{Isa, arch::scalar::Scalar, vector::Nibbles, vector::Words};

/// One binary convolution kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name has pixels × output channels of the tile: `binary_conv2d_4x16_avx512`.
    pub id: KernelId,
    threshold_name: &'static str,
    pixels: usize,
    block: usize,
    form: Form,
    cost: usize,
    pub(super) i16: fn(Isa, Job<'_, i16>),
    pub(super) i32: fn(Isa, Job<'_, i32>),
}

/// The names of a tile alone, and with thresholds behind it.
macro_rules! names {
    ($tile:literal) => {
        [concat!("binary_conv2d_", $tile), concat!("binary_conv2d_", $tile, "_threshold")]
    };
}

/// Every kernel; of one instruction set, the better comes first. The cost is the time of a full tile for a pixel and a channel, compared with the
/// other kernels of the instruction set; it is 1 where tiles are about equally fast.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 4, 2>(names!("4x16_avx512")),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 7, 1>(names!("7x8_avx512")),
    #[cfg(target_arch = "x86_64")]
    Kernel::table::<Avx2, 1, 2>(names!("2x64_avx2")).costs(8),
    #[cfg(target_arch = "x86_64")]
    Kernel::table::<Avx2, 4, 1>(names!("8x32_avx2")).costs(9),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 1, 4>(names!("1x16_avx2")).costs(13),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 4, 1>(names!("4x4_avx2")).costs(14),
    // Two pairs of words need 8 counts and parities, 8 words and 8 temporaries: LLVM spills wherever a tile has more. For 256 products of two words
    // there are two xors, a select, a count, an add and half a broadcast, of 7.5 instructions in all.
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 1, 4>(names!("1x8_neon")),
    Kernel::of::<Scalar, 2, 2>(names!("2x2_scalar")),
];

/// The kernel of `isa` whose tiles take least time for an output of `pixels` × `channels`; the first listed among equals.
pub(super) fn fastest(isa: Isa, pixels: usize, channels: usize) -> &'static Kernel {
    let of_isa = KERNELS.iter().filter(|kernel| kernel.id.is_for(isa));
    let time = |kernel: &&Kernel| {
        pixels.next_multiple_of(kernel.pixels) * channels.next_multiple_of(kernel.block) * kernel.cost
    };
    of_isa.min_by_key(time).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `P` pixels × `N` vectors of channels.
    const fn of<S: Words, const P: usize, const N: usize>([name, threshold_name]: [&'static str; 2]) -> Self {
        const { assert!(P <= CHUNK && N * S::LANES <= 64, "the tile handles at most 64 × 64") };
        Self {
            id: KernelId::of::<S>(name),
            threshold_name,
            pixels: P,
            block: N * S::LANES,
            form: Form::Parities,
            cost: 1,
            i16: run::<S, i16, P, N>,
            i32: run::<S, i32, P, N>,
        }
    }

    /// A tile of `P` pairs of pixels × `N` vectors of channels, which looks nibbles up.
    const fn table<S: Nibbles, const P: usize, const N: usize>([name, threshold_name]: [&'static str; 2]) -> Self {
        const {
            assert!(CHUNK.is_multiple_of(2 * P) && N * S::LANES <= 64, "the tile handles at most 64 × 64");
        };
        Self {
            id: KernelId::of::<S>(name),
            threshold_name,
            pixels: 2 * P,
            block: N * S::LANES,
            form: Form::Nibbles,
            cost: 1,
            i16: run_table::<S, i16, P, N>,
            i32: run_table::<S, i32, P, N>,
        }
    }

    /// The same, with another cost.
    const fn costs(self, cost: usize) -> Self {
        Self { cost, ..self }
    }

    /// The same where [`crate::pack_between`] takes what it yields.
    pub fn threshold_name(&self) -> &'static str {
        self.threshold_name
    }

    /// Output channels of the tile.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// How the tile reads pixels and weights.
    pub(super) fn form(&self) -> Form {
        self.form
    }
}

fn run<S: Words, T: Dot, const P: usize, const N: usize>(isa: Isa, job: Job<'_, T>) {
    run_on(
        isa,
        #[inline(always)]
        |token: S| tile::run::<S, T, P, N>(token, job),
    );
}

fn run_table<S: Nibbles, T: Dot, const P: usize, const N: usize>(isa: Isa, job: Job<'_, T>) {
    run_on(
        isa,
        #[inline(always)]
        |token: S| table::run::<S, T, P, N>(token, job),
    );
}

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            assert_eq!(
                kernel.id.name(),
                format!("binary_conv2d_{}x{}_{}", kernel.pixels, kernel.block, kernel.id.isa_name())
            );
        }
    }
}
