//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use super::{CHUNK, Dot, Job, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::{Isa, arch::scalar::Scalar, vector::Words};

/// One binary convolution kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    name: &'static str,
    threshold_name: &'static str,
    isa_name: &'static str,
    detect: fn() -> Option<Isa>,
    pixels: usize,
    block: usize,
    pub(super) i16: fn(Isa, Job<'_, i16>),
    pub(super) i32: fn(Isa, Job<'_, i32>),
}

/// The names of a tile alone, and with thresholds behind it.
macro_rules! names {
    ($tile:literal) => {
        [concat!("binary_conv2d_", $tile), concat!("binary_conv2d_", $tile, "_threshold")]
    };
}

/// Every kernel. Tiles that waste nothing on a geometry are about equally fast; of one instruction set, the better comes first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 7, 1>(names!("7x8_avx512")),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 4, 2>(names!("4x16_avx512")),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 1, 4>(names!("1x16_avx2")),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 4, 1>(names!("4x4_avx2")),
    // Two pairs of words need 8 counts and parities, 8 words and 8 temporaries: LLVM spills wherever a tile has more. For 256 products of two words
    // there are two xors, a select, a count, an add and half a broadcast, of 7.5 instructions in all.
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 1, 4>(names!("1x8_neon")),
    Kernel::of::<Scalar, 2, 2>(names!("2x2_scalar")),
];

/// The kernel of `isa` whose tiles waste least on an output of `pixels` × `channels`; the first listed among equals.
pub(super) fn fastest(isa: Isa, pixels: usize, channels: usize) -> &'static Kernel {
    let of_isa = KERNELS.iter().filter(|kernel| kernel.isa_name == isa.name());
    let work = |kernel: &&Kernel| pixels.next_multiple_of(kernel.pixels) * channels.next_multiple_of(kernel.block);
    of_isa.min_by_key(work).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `P` pixels × `N` vectors of channels.
    const fn of<S: Words, const P: usize, const N: usize>([name, threshold_name]: [&'static str; 2]) -> Self {
        const { assert!(P <= CHUNK && N * S::LANES <= 64, "the tile handles at most 64 × 64") };
        Self {
            name,
            threshold_name,
            isa_name: S::NAME,
            detect: || S::detect().map(S::isa),
            pixels: P,
            block: N * S::LANES,
            i16: run::<S, i16, P, N>,
            i32: run::<S, i32, P, N>,
        }
    }

    /// Pixels × output channels of the tile, and the instruction set: `binary_conv2d_4x16_avx512`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The same where [`crate::pack_between`] takes what it yields.
    pub fn threshold_name(&self) -> &'static str {
        self.threshold_name
    }

    /// The instruction set it needs.
    pub fn isa_name(&self) -> &'static str {
        self.isa_name
    }

    /// The instruction set it runs on, if this machine has it.
    pub fn isa(&self) -> Option<Isa> {
        (self.detect)()
    }

    /// Output channels of the tile.
    pub(super) fn block(&self) -> usize {
        self.block
    }
}

fn run<S: Words, T: Dot, const P: usize, const N: usize>(isa: Isa, job: Job<'_, T>) {
    let token = S::of(isa).expect("a kernel is bound to its own instruction set");
    token.vectorize(
        #[inline(always)]
        || tile::run::<S, T, P, N>(token, job),
    );
}

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn names_tell_the_tile() {
        for kernel in KERNELS {
            assert_eq!(kernel.name, format!("binary_conv2d_{}x{}_{}", kernel.pixels, kernel.block, kernel.isa_name));
        }
    }
}
