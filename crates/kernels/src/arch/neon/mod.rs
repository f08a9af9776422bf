//! NEON, which every 64-bit Arm has: 128-bit vectors.
#![allow(unsafe_code, reason = "intrinsics; the token proves the features")]

mod bytes;
mod floats;
mod integers;
mod pairs;
mod stacks;
mod transposes;
mod words;

use crate::{isa::Isa, vector::Token};

/// Proof that this machine has NEON: 128-bit vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl Token for Neon {
    const NAME: &'static str = "neon";

    fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Neon(token) => Some(token),
            Isa::Scalar => None,
        }
    }

    fn isa(self) -> Isa {
        Isa::Neon(self)
    }

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the feature exists, because `self` exists: `detect` alone makes it, after finding it.
        unsafe { compiled(work) }
    }
}
