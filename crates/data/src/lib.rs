//! Datasets, decoding, augmentation, samplers and batching.
//!
//! A [`Dataset`] yields uint8 images, a [`Sampler`] the order of an epoch, [`Augmentation`]s vary the images, and a
//! [`Loader`] turns them into batches on background threads. Whatever is random is a pure function of the seed, the
//! epoch and the position within it ([`Random`]), so the batches depend neither on the number of threads nor on
//! stopping and resuming.

#![forbid(unsafe_code)]

mod augment;
mod dataset;
mod decode;
mod error;
mod image_files;
pub mod image_folder;
mod in_memory;
mod loader;
pub mod market1501;
pub mod mnist;
mod random;
mod sampler;
mod subset;

pub use augment::Augmentation;
pub use dataset::{Dataset, ImageShape};
pub use decode::{Resize, decode_image, fit_pixels};
pub use error::DataError;
pub use image_files::{ImageFiles, ImageOptions};
pub use in_memory::InMemory;
pub use loader::{Batch, Loader, LoaderOptions, Samples};
pub use random::Random;
pub use sampler::{Balanced, Sampler, SamplerState, Sequential, Shuffle, Weighted};
pub use subset::Subset;
