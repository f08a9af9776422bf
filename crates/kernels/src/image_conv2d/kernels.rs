//! The list of kernels: being listed makes a kernel selectable, tested and benchmarked.

#[cfg(target_arch = "x86_64")]
use super::factors::InQuads;
use super::factors::{Factors, InPairs};
use super::{Job, Sum, tile};
#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::kernel_id::{KernelId, run_on};
use crate::{Isa, arch::scalar::Scalar, vector::Pairs};

/// One kernel of the convolution of pixels.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name has the bits of weights, and pixels × output channels of the tile: `image_conv2d_i8_4x32_avx512`.
    pub id: KernelId,
    largest: i16,
    per_word: usize,
    pixels: usize,
    block: usize,
    cost: usize,
    pub(super) i16: fn(Isa, Job<'_, i16>),
    pub(super) i32: fn(Isa, Job<'_, i32>),
    pub(super) i64: fn(Isa, Job<'_, i64>),
}

/// Every kernel; of one instruction set and one size of weights, the better comes first. The cost is the time of a full tile for a pixel and a channel, compared with the
/// others of that set and size; it is 1 where tiles are about equally fast.
pub static KERNELS: &[Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InQuads, 6, 4>("image_conv2d_i8_6x64_avx512").costs(20),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InQuads, 7, 2>("image_conv2d_i8_7x32_avx512").costs(23),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InQuads, 4, 2>("image_conv2d_i8_4x32_avx512").costs(26),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InQuads, 7, 1>("image_conv2d_i8_7x16_avx512").costs(32),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InQuads, 1, 4>("image_conv2d_i8_1x64_avx512").costs(35),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InPairs, 6, 4>("image_conv2d_i16_6x64_avx512").costs(20),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InPairs, 7, 2>("image_conv2d_i16_7x32_avx512").costs(21),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InPairs, 4, 2>("image_conv2d_i16_4x32_avx512").costs(25),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InPairs, 7, 1>("image_conv2d_i16_7x16_avx512").costs(28),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx512, InPairs, 8, 1>("image_conv2d_i16_8x16_avx512").costs(31),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, InPairs, 2, 4>("image_conv2d_i16_2x32_avx2"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, InPairs, 4, 2>("image_conv2d_i16_4x16_avx2"),
    #[cfg(target_arch = "x86_64")]
    Kernel::of::<Avx2, InPairs, 1, 4>("image_conv2d_i16_1x32_avx2"),
    // 16 sums, 8 vectors of weights, which each load takes apart, and 4 of pixels: of 52 instructions 32 multiply-adds, 4 of a lane each.
    #[cfg(target_arch = "aarch64")]
    Kernel::of::<Neon, InPairs, 4, 4>("image_conv2d_i16_4x16_neon"),
    Kernel::of::<Scalar, InPairs, 2, 2>("image_conv2d_i16_2x2_scalar"),
];

/// The kernel of `isa` for weights up to `largest` that has most of them in a word and whose tiles take least time for output rows of `pixels` × `channels`; the first listed
/// among equals. A tile of one pixel shares its weights with no other, so it is for rows of one.
pub(super) fn fastest(isa: Isa, largest: i16, pixels: usize, channels: usize) -> &'static Kernel {
    let able = |kernel: &&Kernel| kernel.id.is_for(isa) && largest <= kernel.largest;
    let fits = |kernel: &&Kernel| kernel.pixels > 1 || pixels == 1;
    let work = |kernel: &&Kernel| {
        let tiles = pixels.next_multiple_of(kernel.pixels) * channels.next_multiple_of(kernel.block);
        (kernel.largest, tiles * kernel.cost)
    };
    let kernel = KERNELS.iter().filter(able).filter(fits).min_by_key(work);
    kernel.expect("every instruction set has a kernel for all weights")
}

impl Kernel {
    /// A tile of `P` pixels × `N` vectors of channels.
    const fn of<S: Pairs, F: Factors<S>, const P: usize, const N: usize>(name: &'static str) -> Self {
        const { assert!(N * S::LANES <= 64, "the tile handles at most 64 channels") };
        Self {
            id: KernelId::of::<S>(name),
            largest: F::LARGEST,
            per_word: F::PER_WORD,
            pixels: P,
            block: N * S::LANES,
            cost: 1,
            i16: run::<S, F, i16, P, N>,
            i32: run::<S, F, i32, P, N>,
            i64: run::<S, F, i64, P, N>,
        }
    }

    /// The same, with another cost.
    const fn costs(self, cost: usize) -> Self {
        Self { cost, ..self }
    }

    /// The largest |weight| that it takes.
    pub fn largest(&self) -> i16 {
        self.largest
    }

    /// Pixels, and weights, that it has in 32 bits.
    pub(super) fn per_word(&self) -> usize {
        self.per_word
    }

    /// Output channels of the tile.
    pub(super) fn block(&self) -> usize {
        self.block
    }
}

fn run<S: Pairs, F: Factors<S>, T: Sum, const P: usize, const N: usize>(isa: Isa, job: Job<'_, T>) {
    run_on(
        isa,
        #[inline(always)]
        |token: S| tile::run::<S, F, T, P, N>(token, job),
    );
}

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn names_tell_the_weights_and_the_tile() {
        for kernel in KERNELS {
            let bits = 32 / kernel.per_word;
            let name = format!("image_conv2d_i{bits}_{}x{}_{}", kernel.pixels, kernel.block, kernel.id.isa_name());
            assert_eq!(kernel.id.name(), name);
        }
    }
}
