//! Ops, shapes, gradients and passes as data; runs nothing.

#![forbid(unsafe_code)]
