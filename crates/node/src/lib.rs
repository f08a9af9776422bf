//! Marshals to JavaScript and nothing else.

use napi_derive::napi;

/// The version of the native library.
#[napi(catch_unwind)]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
