//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

use super::{Job, Sum, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::{Isa, arch::scalar::Scalar, vector::Pairs};

/// One kernel of the convolution of pixels.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    name: &'static str,
    isa_name: &'static str,
    detect: fn() -> Option<Isa>,
    pixels: usize,
    block: usize,
    pub(super) i32: fn(Isa, Job<'_, i32>),
    pub(super) i64: fn(Isa, Job<'_, i64>),
}

/// Every kernel; of one instruction set, the better comes first.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 4, 2>("image_conv2d_4x32_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 7, 1>("image_conv2d_7x16_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, 8, 1>("image_conv2d_8x16_avx512"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, 4, 2>("image_conv2d_4x16_avx2"),
    // 16 sums, 8 vectors of weights, which each load takes apart, and 4 of pixels: of 52 instructions 32 multiply-adds, 4 of a lane each.
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, 4, 4>("image_conv2d_4x16_neon"),
    Kernel::of::<Scalar, 2, 2>("image_conv2d_2x2_scalar"),
];

/// The kernel of `isa` whose tiles waste least on output rows of `pixels` × `channels`; the first listed among equals.
pub(super) fn fastest(isa: Isa, pixels: usize, channels: usize) -> &'static Kernel {
    let of_isa = KERNELS.iter().filter(|kernel| kernel.isa_name == isa.name());
    let work = |kernel: &&Kernel| pixels.next_multiple_of(kernel.pixels) * channels.next_multiple_of(kernel.block);
    of_isa.min_by_key(work).expect("every instruction set has a kernel")
}

impl Kernel {
    /// A tile of `P` pixels × `N` vectors of channels.
    const fn of<S: Pairs, const P: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(N * S::LANES <= 64, "the tile handles at most 64 channels") };
        Self {
            name,
            isa_name: S::NAME,
            detect: || S::detect().map(S::isa),
            pixels: P,
            block: N * S::LANES,
            i32: run::<S, i32, P, N>,
            i64: run::<S, i64, P, N>,
        }
    }

    /// Pixels × output channels of the tile, and the instruction set: `image_conv2d_6x64_avx512`.
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

    /// Output channels of the tile.
    pub(super) fn block(&self) -> usize {
        self.block
    }
}

fn run<S: Pairs, T: Sum, const P: usize, const N: usize>(isa: Isa, job: Job<'_, T>) {
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
            assert_eq!(kernel.name, format!("image_conv2d_{}x{}_{}", kernel.pixels, kernel.block, kernel.isa_name));
        }
    }
}
