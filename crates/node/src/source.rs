//! Where a file's contents come from.

use std::path::PathBuf;

use napi::ValueType;
use napi::bindgen_prelude::{JsValue, Unknown};

use crate::argument::{array, array_name, text, wrong};
use crate::error::Failure;

/// A file, or what is in one.
pub enum Source {
    /// Its path.
    File(PathBuf),
    /// Its bytes, copied.
    Bytes(Vec<u8>),
}

impl Source {
    /// A string is a path, an array of bytes the contents.
    pub fn new(value: Unknown, name: &str) -> Result<Self, Failure> {
        match value.get_type()? {
            ValueType::String => Ok(Self::File(PathBuf::from(text(value, name)?))),
            _ if value.is_typedarray()? => Ok(Self::Bytes(array(value, name)?)),
            _ => Err(wrong(name, "a path or a Uint8Array", &array_name(value)?)),
        }
    }
}
