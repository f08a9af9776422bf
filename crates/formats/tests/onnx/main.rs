//! ONNX models: what is written, what of others is read, what is refused.

mod builder;
mod damage;
mod export;
mod foreign;
mod graphs;
mod network;
mod refusals;
mod stem;
