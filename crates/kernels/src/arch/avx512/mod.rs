//! AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ, on top of AVX2: 512-bit vectors.
#![allow(unsafe_code, reason = "intrinsics; the token proves the features")]

mod floats;
mod integers;
mod pairs;
mod quads;
mod stacks;
mod transposes;
mod words;

use crate::{arch::avx2::Avx2, isa::Isa, vector::Token};

/// Proof that this machine has AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ, on top of AVX2: 512-bit vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(Avx2);

impl Token for Avx512 {
    const NAME: &'static str = "avx512";

    fn detect() -> Option<Self> {
        let avx2 = Avx2::detect()?;
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vpopcntdq");
        found.then_some(Self(avx2))
    }

    fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Avx512(token) => Some(token),
            _ => None,
        }
    }

    fn isa(self) -> Isa {
        Isa::Avx512(self)
    }

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
        )]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the features exist, because `self` exists: `detect` alone makes it, after finding each of them.
        unsafe { compiled(work) }
    }
}
