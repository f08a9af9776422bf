use super::{Job, Kernel};
use crate::{Isa, vector::Pairs};

/// Storage of a sum: `i16` or `i32` where the bound fits, else `i64`.
pub trait Sum: Copy + Default + Send + Sync + sealed::Storage {
    /// The largest |sum| that fits.
    const BOUND: i64;
}

pub(super) mod sealed {
    use super::{Isa, Job, Kernel, Pairs};

    /// What differs between the storages.
    pub trait Storage: Sized {
        /// Runs the kernel's function for this storage.
        #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
        fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>);

        /// Writes one vector of sums of the first part, or adds one of another.
        fn put<S: Pairs>(token: S, sums: S::I32, first: bool, out: &mut [Self]);
    }
}

impl Sum for i16 {
    const BOUND: i64 = Self::MAX as i64;
}

impl sealed::Storage for i16 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i16)(isa, job);
    }

    #[inline(always)]
    fn put<S: Pairs>(token: S, sums: S::I32, first: bool, out: &mut [Self]) {
        debug_assert!(first, "sums that fit into 16 bits have one part");
        let mut wide = [0; 64];
        token.store_sums(sums, &mut wide);
        out[..S::LANES].iter_mut().zip(&wide).for_each(|(out, &sum)| *out = sum as Self);
    }
}

impl Sum for i32 {
    const BOUND: i64 = i32::MAX as i64;
}

impl sealed::Storage for i32 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i32)(isa, job);
    }

    #[inline(always)]
    fn put<S: Pairs>(token: S, sums: S::I32, first: bool, out: &mut [Self]) {
        debug_assert!(first, "sums that fit into 32 bits have one part");
        token.store_sums(sums, out);
    }
}

impl Sum for i64 {
    const BOUND: i64 = i64::MAX;
}

impl sealed::Storage for i64 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i64)(isa, job);
    }

    #[inline(always)]
    fn put<S: Pairs>(token: S, sums: S::I32, first: bool, out: &mut [Self]) {
        let mut part = [0; 64];
        token.store_sums(sums, &mut part);
        for (out, &sum) in out[..S::LANES].iter_mut().zip(&part) {
            *out = Self::from(sum) + if first { 0 } else { *out };
        }
    }
}
