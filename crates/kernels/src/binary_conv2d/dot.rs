use super::{Job, Kernel};
use crate::{Isa, vector::Integers, vector::Words};

/// Storage of a dot product: `i16` where the bound fits, else `i32`.
pub trait Dot: Copy + Default + Send + Sync + sealed::Storage {
    /// The largest |dot| that fits.
    const BOUND: usize;
}

pub(super) mod sealed {
    use super::{Integers, Isa, Job, Kernel, Words};

    /// What differs between the storages.
    pub trait Storage: Sized {
        /// Runs the kernel's function for this storage.
        #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
        fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>);

        /// Writes one vector of dot products, `base + factor · counts`.
        fn store<S: Words>(token: S, counts: S::U64, base: &[i32], factor: i32, out: &mut [Self]);

        /// `x`, which fits in the end, if not yet.
        fn wrap(x: i32) -> Self;

        /// `self + factor · count`, which fits in the end.
        fn plus(self, factor: i32, count: u16) -> Self;

        /// Takes `value` away; the difference fits.
        fn subtract(&mut self, value: i32);

        /// `(sum − self)/2`, which is exact and fits.
        fn half_below(self, sum: Self) -> Self;

        /// Bit i = `low[i] ≤ x[i] ≤ high[i]`.
        fn between<S: Integers>(token: S, x: &[Self; 64], low: &[Self; 64], high: &[Self; 64]) -> u64;
    }
}

impl Dot for i16 {
    const BOUND: usize = i16::MAX as usize;
}

impl sealed::Storage for i16 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i16)(isa, job);
    }

    #[inline(always)]
    fn store<S: Words>(token: S, counts: S::U64, base: &[i32], factor: i32, out: &mut [Self]) {
        token.store_i16(counts, base, factor, out);
    }

    #[inline(always)]
    fn between<S: Integers>(token: S, x: &[Self; 64], low: &[Self; 64], high: &[Self; 64]) -> u64 {
        token.between_i16(x, low, high)
    }

    #[inline(always)]
    fn wrap(x: i32) -> Self {
        x as Self
    }

    #[inline(always)]
    fn plus(self, factor: i32, count: u16) -> Self {
        self.wrapping_add((factor as Self).wrapping_mul(count as Self))
    }

    #[inline(always)]
    fn subtract(&mut self, value: i32) {
        *self -= value as i16;
    }

    #[inline(always)]
    fn half_below(self, sum: Self) -> Self {
        ((i32::from(sum) - i32::from(self)) >> 1) as Self
    }
}

impl Dot for i32 {
    const BOUND: usize = i32::MAX as usize;
}

impl sealed::Storage for i32 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i32)(isa, job);
    }

    #[inline(always)]
    fn store<S: Words>(token: S, counts: S::U64, base: &[i32], factor: i32, out: &mut [Self]) {
        token.store_i32(counts, base, factor, out);
    }

    #[inline(always)]
    fn between<S: Integers>(token: S, x: &[Self; 64], low: &[Self; 64], high: &[Self; 64]) -> u64 {
        token.between_i32(x, low, high)
    }

    #[inline(always)]
    fn wrap(x: i32) -> Self {
        x
    }

    #[inline(always)]
    fn plus(self, factor: i32, count: u16) -> Self {
        self + factor * i32::from(count)
    }

    #[inline(always)]
    fn subtract(&mut self, value: i32) {
        *self -= value;
    }

    #[inline(always)]
    fn half_below(self, sum: Self) -> Self {
        (sum - self) >> 1
    }
}
