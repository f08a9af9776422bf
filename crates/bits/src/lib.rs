//! The layout law: which bit means which sign; packed tensors.

#![forbid(unsafe_code)]
