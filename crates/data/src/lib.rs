//! Datasets, decoding, augmentation, samplers and batching.

#![forbid(unsafe_code)]
