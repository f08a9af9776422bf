//! The layout law: which bit means which value, and where it lies. Every crate packs, reads and tests bits by this page.
//!
//! * [`Codes::Sign`] codes are −1/+1 and **bit = (x < 0)**, so `sign(0) = sign(-0.0) = +1`; binary weights are such codes.
//!   [`Codes::Step`] codes are 0/1 and **bit = (x > 0)**. A NaN has bit 0 in both.
//! * Channel `i` of a group is bit `i % 64` of word `i / 64` of that group; words are `u64`, least significant bit first.
//!   In memory they are little-endian, so read as `u32` the same bytes serve a shader.
//! * Every group starts on a word. Feature maps are channels-last, `[n, h, w, groups, words]`; weights `[o, kh, kw, words]`.
//! * Bits beyond the last channel of a group (the tail) are zero, in both operands of every product.
//!
//! With `count = popcount(a ^ w)` over `K` channels, a `Sign · Sign` product is `dot = K − 2·count` and a `Step · Sign`
//! product is `dot = count − popcount(w)`: one kernel serves both.

#![forbid(unsafe_code)]

mod codes;
mod layout;

pub use bitvec::{order::Lsb0, slice::BitSlice};
pub use codes::Codes;
pub use layout::{BitLayout, tail_mask, words};
