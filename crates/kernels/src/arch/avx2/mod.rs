//! AVX2 with FMA, BMI and POPCNT: 256-bit vectors.
#![allow(unsafe_code, reason = "intrinsics; the token proves the features")]

mod bytes;
mod floats;
mod integers;
mod nibbles;
mod pairs;
mod stacks;
mod transposes;
mod words;

use crate::{isa::Isa, vector::Token};

/// Proof that this machine has AVX2 with FMA, BMI and POPCNT: 256-bit vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Token for Avx2 {
    const NAME: &'static str = "avx2";

    fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Avx2(token) => Some(token),
            _ => None,
        }
    }

    fn isa(self) -> Isa {
        Isa::Avx2(self)
    }

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the features exist, because `self` exists: `detect` alone makes it, after finding each of them.
        unsafe { compiled(work) }
    }
}
