//! Images as networks take them.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use binary_nets_data::{DataError, ImageShape, Resize, decode_image as decode, fit_pixels};
use napi::bindgen_prelude::{JsValue, Object, Uint8ArraySlice, Unknown};
use napi::{Env, Task, ValueType};
use napi_derive::napi;

use crate::argument::{self, Fields};
use crate::dataset::MAX_SIDE;
use crate::error::{Failure, call, guard};
use crate::promise::{Deferred, promise};

/// Where an image comes from.
enum Source {
    File(PathBuf),
    Encoded(Vec<u8>),
    Pixels { rgba: Vec<u8>, width: u32, height: u32 },
}

/// An image to be read.
///
/// It is read in Node's own pool, the one that reads files for JavaScript: four threads, or `UV_THREADPOOL_SIZE`. However many images there are, no more
/// are decoded at once; the others wait, and take no memory but that of what they were called with.
struct Reading {
    source: Source,
    shape: ImageShape,
    resize: Resize,
}

/// The pixels `[height, width, channels]` of an image: a PNG or JPEG file, its bytes, or red, green, blue and alpha as an `ImageData` has them. With
/// `shorter` the aspect is kept and what is too much cut off around the middle, without it disregarded.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
pub fn decode_image<'env>(
    env: &'env Env,
    #[napi(
        ts_arg_type = "string | Uint8Array | { data: Uint8Array | Uint8ClampedArray; width: number; height: number }"
    )]
    source: Unknown,
    #[napi(ts_arg_type = "{ height: number; width: number; channels: number; shorter?: number }")] options: Unknown,
) -> napi::Result<Object<'env>> {
    match guard(|| Reading::new(source, options)) {
        Ok(reading) => env.spawn(reading)?.promise_object().to_unknown().coerce_to_object(),
        Err(failure) => promise(env, || Err(failure), |never: Infallible, _: Deferred<()>| match never {}),
    }
}

impl Reading {
    fn new(source: Unknown, options: Unknown) -> Result<Self, Failure> {
        let options = Fields::new(options, "options")?;
        let shape = ImageShape {
            height: options.required("height", side)? as usize,
            width: options.required("width", side)? as usize,
            channels: options.required("channels", |value, name| argument::count(value, name, 3))?,
        };
        Ok(Self { source: Source::new(source)?, shape, resize: resize(&options)? })
    }

    fn read(&self) -> Result<Vec<u8>, DataError> {
        match &self.source {
            Source::File(path) => {
                let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.clone(), source })?;
                decode(&bytes, self.shape, self.resize).map_err(|error| error.of_file(path))
            }
            Source::Encoded(bytes) => decode(bytes, self.shape, self.resize),
            Source::Pixels { rgba, width, height } => fit_pixels(rgba, *width, *height, self.shape, self.resize),
        }
    }
}

impl Source {
    fn new(source: Unknown) -> Result<Self, Failure> {
        if source.get_type()? == ValueType::String {
            return Ok(Self::File(argument::text(source, "source")?.into()));
        }
        if source.is_typedarray()? {
            return Ok(Self::Encoded(argument::array(source, "source")?));
        }
        let pixels = Fields::new(source, "source")?;
        Ok(Self::Pixels {
            rgba: pixels.required("data", argument::array)?,
            width: pixels.required("width", side)?,
            height: pixels.required("height", side)?,
        })
    }
}

/// How images of another size get theirs: by the option `shorter`.
pub fn resize(options: &Fields) -> Result<Resize, Failure> {
    Ok(options.optional("shorter", side)?.map_or(Resize::Stretch, Resize::Shorter))
}

fn side(value: Unknown, name: &str) -> Result<u32, Failure> {
    argument::count(value, name, MAX_SIDE).map(|side| side as u32)
}

impl Task for Reading {
    type Output = Result<Vec<u8>, Failure>;
    type JsValue = Uint8ArraySlice<'static>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(guard(|| Ok(self.read()?)))
    }

    fn resolve(&mut self, env: Env, pixels: Self::Output) -> napi::Result<Self::JsValue> {
        call(&env, || Ok(Uint8ArraySlice::copy_from(&env, pixels?)?))
    }
}
