//! Plain Rust: one lane, on every machine.

mod floats;
mod integers;
mod pairs;
mod stacks;
mod transposes;
mod words;

use crate::{isa::Isa, vector::Token};

/// The instruction set that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar;

impl Token for Scalar {
    const NAME: &'static str = "scalar";

    fn detect() -> Option<Self> {
        Some(Self)
    }

    fn of(isa: Isa) -> Option<Self> {
        (isa == Isa::Scalar).then_some(Self)
    }

    fn isa(self) -> Isa {
        Isa::Scalar
    }

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }
}
