use super::{Job, Kernel};
use crate::Isa;

/// Storage of a dot product: `i16` where the bound fits, else `i32`.
pub trait Dot: Copy + Send + Sync + sealed::Run {
    /// The largest |dot| that fits.
    const BOUND: usize;

    /// `value`, which fits.
    #[doc(hidden)]
    fn from_i32(value: i32) -> Self;

    /// `self − value`, which fits.
    #[doc(hidden)]
    fn minus(self, value: i32) -> Self;
}

pub(super) mod sealed {
    use super::{Isa, Job, Kernel};

    /// Picks the kernel's function for this storage.
    pub trait Run: Sized {
        #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
        fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>);
    }
}

impl Dot for i16 {
    const BOUND: usize = i16::MAX as usize;

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value as i16
    }

    #[inline(always)]
    fn minus(self, value: i32) -> Self {
        self - value as i16
    }
}

impl sealed::Run for i16 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i16)(isa, job);
    }
}

impl Dot for i32 {
    const BOUND: usize = i32::MAX as usize;

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value
    }

    #[inline(always)]
    fn minus(self, value: i32) -> Self {
        self - value
    }
}

impl sealed::Run for i32 {
    #[allow(private_interfaces, reason = "sealed: no other crate can name this trait")]
    fn run(kernel: &Kernel, isa: Isa, job: Job<'_, Self>) {
        (kernel.i32)(isa, job);
    }
}
