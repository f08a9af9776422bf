//! A slow, obvious f64 reference and every op's tests, run by each backend.

#![forbid(unsafe_code)]

mod class;
mod random;
pub mod reference;
pub mod suite;

mod tensor;

pub use class::Class;
pub use random::Random;
pub use tensor::Tensor;
