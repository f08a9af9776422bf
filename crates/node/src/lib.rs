//! Marshals to JavaScript and nothing else.
//!
//! Values are copied in and out; nothing of either side is ever seen by the other. Every argument is taken as it comes and converted by `argument`, so
//! that a wrong one is an error with a code. What takes long runs on the thread of its network and settles a promise.

// Forbidden would be more than the code that `napi` generates can bear.
#![deny(unsafe_code)]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "values that are given back borrow the Env")]

mod account;
mod argument;
mod dataset;
mod error;
mod exclusive;
mod frozen;
pub mod image;
mod loader;
mod network;
mod promise;
mod queue;
mod source;
mod value;
mod worker;

use napi_derive::napi;

/// The version of the native library.
#[napi(catch_unwind)]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Every code that an error of this library can have.
#[napi(catch_unwind)]
pub fn error_codes() -> Vec<String> {
    error::Code::ALL.map(|code| code.name().to_owned()).into()
}
