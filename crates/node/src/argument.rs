//! What JavaScript passes, checked and copied.

use std::num::NonZero;
use std::ops::RangeInclusive;

use napi::ValueType;
use napi::bindgen_prelude::{
    Array, ArrayBuffer, Float32ArraySlice, FromNapiValue, JsObjectValue, JsValue, Object, TypedArray, Uint8ArraySlice,
    Uint8ClampedSlice, Uint32ArraySlice, Unknown,
};

use crate::error::{Code, Failure};

/// The largest integer that a JavaScript number holds exactly.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The failure of an argument.
pub fn wrong(name: &str, expected: &str, got: &str) -> Failure {
    Failure::new(Code::Argument, format!("{name}: expected {expected}, got {got}"))
}

fn kind(value: Unknown) -> String {
    value.get_type().map_or_else(|_| "something else".to_owned(), |kind| kind.to_string().to_lowercase())
}

/// A string.
pub fn text(value: Unknown, name: &str) -> Result<String, Failure> {
    String::from_unknown(value).map_err(|_| wrong(name, "a string", &kind(value)))
}

/// A boolean.
pub fn boolean(value: Unknown, name: &str) -> Result<bool, Failure> {
    bool::from_unknown(value).map_err(|_| wrong(name, "a boolean", &kind(value)))
}

/// A finite number.
pub fn number(value: Unknown, name: &str) -> Result<f32, Failure> {
    let number = f64::from_unknown(value).map_err(|_| wrong(name, "a number", &kind(value)))?;
    Some(number as f32)
        .filter(|x| x.is_finite())
        .ok_or_else(|| wrong(name, "a finite 32-bit number", &number.to_string()))
}

/// An integer within bounds, both included.
pub fn integer(value: Unknown, name: &str, range: RangeInclusive<u64>) -> Result<u64, Failure> {
    let expected = || format!("an integer from {} to {}", range.start(), range.end());
    let number = f64::from_unknown(value).map_err(|_| wrong(name, &expected(), &kind(value)))?;
    let integer = number as u64;
    if number.fract() == 0.0 && number >= 0.0 && range.contains(&integer) {
        Ok(integer)
    } else {
        Err(wrong(name, &expected(), &number.to_string()))
    }
}

/// An integer from 1 on.
pub fn positive(value: Unknown, name: &str, most: u64) -> Result<NonZero<usize>, Failure> {
    let n = integer(value, name, 1..=most)? as usize;
    NonZero::new(n).ok_or_else(|| wrong(name, "1 or more", "0"))
}

/// An integer that counts or measures something in memory.
pub fn count(value: Unknown, name: &str, most: u64) -> Result<usize, Failure> {
    positive(value, name, most).map(NonZero::get)
}

/// What the elements of a typed array can be.
pub trait Element: Sized {
    /// What JavaScript calls the array.
    const ARRAY: &'static str;

    fn copy(value: Unknown) -> napi::Result<Vec<Self>>;
}

impl Element for u8 {
    const ARRAY: &'static str = "Uint8Array";

    fn copy(value: Unknown) -> napi::Result<Vec<Self>> {
        // Bytes all the same: the pixels of a canvas.
        let clamped = || Ok(Uint8ClampedSlice::from_unknown(value)?.to_vec());
        Uint8ArraySlice::from_unknown(value).map(|bytes| bytes.to_vec()).or_else(|_: napi::Error| clamped())
    }
}

impl Element for u32 {
    const ARRAY: &'static str = "Uint32Array";

    fn copy(value: Unknown) -> napi::Result<Vec<Self>> {
        Ok(Uint32ArraySlice::from_unknown(value)?.to_vec())
    }
}

impl Element for f32 {
    const ARRAY: &'static str = "Float32Array";

    fn copy(value: Unknown) -> napi::Result<Vec<Self>> {
        Ok(Float32ArraySlice::from_unknown(value)?.to_vec())
    }
}

/// Whether an argument was left out.
pub fn is_absent(value: Unknown) -> Result<bool, Failure> {
    Ok(matches!(value.get_type()?, ValueType::Undefined | ValueType::Null))
}

/// What JavaScript calls a typed array, or what else a value is.
pub fn array_name(value: Unknown) -> Result<String, Failure> {
    if !value.is_typedarray()? {
        return Ok(kind(value));
    }
    Ok(format!("{}Array", TypedArray::from_unknown(value)?.typed_array_type.as_ref()))
}

/// A copy of a typed array. One without a buffer of its own is refused: detached, or shared with threads that may write to it meanwhile.
pub fn array<T: Element>(value: Unknown, name: &str) -> Result<Vec<T>, Failure> {
    if !value.is_typedarray()? {
        return Err(wrong(name, T::ARRAY, &kind(value)));
    }
    let buffer: Unknown = Object::from_unknown(value)?.get_named_property("buffer")?;
    if !buffer.is_arraybuffer()? {
        return Err(wrong(name, &format!("{} of its own memory", T::ARRAY), "one of shared memory"));
    }
    if ArrayBuffer::from_unknown(buffer)?.is_detached()? {
        return Err(wrong(name, T::ARRAY, "a detached one"));
    }
    let got = array_name(value)?;
    T::copy(value).map_err(|_| wrong(name, T::ARRAY, &got))
}

/// Strings in an array.
pub fn texts(value: Unknown, name: &str) -> Result<Vec<String>, Failure> {
    if !value.is_array()? {
        return Err(wrong(name, "an array of strings", &kind(value)));
    }
    let list = Array::from_unknown(value)?;
    (0..list.len())
        .map(|i| {
            let item: Option<Unknown> = list.get(i)?;
            item.map_or_else(|| Err(wrong(name, "an array of strings", "a hole in it")), |item| text(item, name))
        })
        .collect()
}

/// An object and how messages call it.
pub struct Fields<'a> {
    object: Object<'a>,
    name: &'a str,
}

impl<'a> Fields<'a> {
    pub fn new(value: Unknown<'a>, name: &'a str) -> Result<Self, Failure> {
        match value.get_type()? {
            ValueType::Object => Ok(Self { object: value.coerce_to_object()?, name }),
            _ => Err(wrong(name, "an object", &kind(value))),
        }
    }

    /// A field that may be left out.
    pub fn optional<T>(
        &self,
        field: &str,
        read: impl FnOnce(Unknown, &str) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let value: Unknown = self.object.get_named_property(field)?;
        if is_absent(value)? {
            return Ok(None);
        }
        read(value, &format!("{}.{field}", self.name)).map(Some)
    }

    /// A field that must be there.
    pub fn required<T>(
        &self,
        field: &str,
        read: impl FnOnce(Unknown, &str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        read(self.object.get_named_property(field)?, &format!("{}.{field}", self.name))
    }

    /// All fields.
    pub fn each<T>(&self, read: impl Fn(Unknown, &str) -> Result<T, Failure>) -> Result<Vec<(String, T)>, Failure> {
        let keys = Object::keys(&self.object)?;
        keys.into_iter().map(|key| self.required(&key, &read).map(|value| (key, value))).collect()
    }
}
