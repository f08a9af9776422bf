//! From encoded images, or pixels of any size, to the pixels of a network's input.

use std::io::Cursor;

use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Limits, Pixel, RgbaImage};

use serde::{Deserialize, Serialize};

use crate::{DataError, ImageShape};

/// The most pixels that an image may have, as it is decoded or while it is resized. A file of a few kilobytes can claim any number.
const MAX_PIXELS: u64 = 1 << 26;

/// Sixteen bits in each of red, green, blue and alpha.
const MAX_PIXEL_BYTES: u64 = 8;

/// How an image gets the size of a network's input. Both use a triangle filter; an image of the right size is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resize {
    /// To that size, the aspect ratio disregarded.
    #[default]
    Stretch,
    /// So that the shorter side has this many pixels, or the fewest more with which the image covers the input, the aspect ratio kept (the longer side
    /// is rounded down); then what is too much is cut off around the middle. Rows and columns cut off at the top and the left are half of them,
    /// rounded to the nearest integer, halves to the even one. These are the roundings of torchvision's `Resize` and `CenterCrop`.
    Shorter(u32),
}

/// The pixels `[height, width, channels]` of a PNG or JPEG file.
///
/// The content decides the format. One channel is Rec. 709 luma, three are RGB; alpha is dropped and an EXIF orientation disregarded.
///
/// Fails with [`DataError::Image`] when the file is broken, a JPEG file without its end marker among them, or when it would take more than 2^26 pixels
/// to decode or to resize it; with [`DataError::InvalidOption`] when a size is 0 or there are neither one nor three channels.
pub fn decode_image(bytes: &[u8], shape: ImageShape, resize: Resize) -> Result<Vec<u8>, DataError> {
    check(shape, resize)?;
    fit(decode(bytes)?, shape, resize)
}

/// The pixels `[shape.height, shape.width, channels]` of the pixels `[height, width, 4]`, as [`decode_image`] gives them for a PNG file with red, green,
/// blue and alpha. Fails like it, and with [`DataError::Length`] when there are more or fewer bytes than that.
pub fn fit_pixels(
    rgba: &[u8],
    width: u32,
    height: u32,
    shape: ImageShape,
    resize: Resize,
) -> Result<Vec<u8>, DataError> {
    check(shape, resize)?;
    check_pixels(width.into(), height.into())?;
    let expected = width as usize * height as usize * 4;
    let length = || DataError::Length { what: "the pixels", expected, got: rgba.len() };
    let image = Some(rgba).filter(|rgba| rgba.len() == expected);
    let image = image.and_then(|rgba| RgbaImage::from_raw(width, height, rgba.to_vec())).ok_or_else(length)?;
    fit(image.into(), shape, resize)
}

/// An image as it stands in its file.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, DataError> {
    if is_cut_jpeg(bytes) {
        return Err(broken("the JPEG data ends before its end marker"));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * MAX_PIXEL_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| broken(e.to_string()))?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| broken(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    check_pixels(width.into(), height.into())?;
    DynamicImage::from_decoder(decoder).map_err(|e| broken(e.to_string()))
}

/// An image in the size and the channels of `shape`, which are checked.
pub(crate) fn fit(image: DynamicImage, shape: ImageShape, resize: Resize) -> Result<Vec<u8>, DataError> {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    let (w, h) = (shape.width as u64, shape.height as u64);
    let (scaled_width, scaled_height) = match resize {
        Resize::Stretch => (w, h),
        Resize::Shorter(n) => {
            let n = u64::from(n);
            if width <= height {
                let n = n.max(w).max((h * width).div_ceil(height));
                (n, n * height / width)
            } else {
                let n = n.max(h).max((w * height).div_ceil(width));
                (n * width / height, n)
            }
        }
    };
    // Rows are resized first, so there is an image of the old width and the new height in between.
    check_pixels(scaled_width.max(width), scaled_height)?;
    let size = (scaled_width as u32, scaled_height as u32);
    Ok(if shape.channels == 1 {
        scale_and_crop(image.into_luma8(), size, shape)
    } else {
        scale_and_crop(image.into_rgb8(), size, shape)
    })
}

fn scale_and_crop<P>(image: ImageBuffer<P, Vec<u8>>, size: (u32, u32), shape: ImageShape) -> Vec<u8>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    let image = if image.dimensions() == size { image } else { resize(&image, size.0, size.1, FilterType::Triangle) };
    let (width, height) = (shape.width as u32, shape.height as u32);
    if size == (width, height) {
        return image.into_raw();
    }
    crop_imm(&image, half(size.0 - width), half(size.1 - height), width, height).to_image().into_raw()
}

/// Half of n, rounded to the nearest integer, halves to the even one.
const fn half(n: u32) -> u32 {
    n / 2 + n % 2 * (n / 2 % 2)
}

fn check(shape: ImageShape, resize: Resize) -> Result<(), DataError> {
    if shape.channels != 1 && shape.channels != 3 {
        return Err(DataError::option("channels", "1 or 3", &shape.channels));
    }
    let side = 1..=MAX_PIXELS as usize;
    if !side.contains(&shape.height) || !side.contains(&shape.width) {
        return Err(DataError::option("size", format!("1x1 to {MAX_PIXELS} pixels"), &shape));
    }
    match resize {
        Resize::Shorter(0) => Err(DataError::option("shorter", "1 or more", &0)),
        Resize::Shorter(_) | Resize::Stretch => Ok(()),
    }
}

fn check_pixels(width: u64, height: u64) -> Result<(), DataError> {
    match width.checked_mul(height) {
        Some(1..=MAX_PIXELS) => Ok(()),
        _ => Err(broken(format!("it takes an image of {width}x{height} pixels, and 1 to {MAX_PIXELS} are possible"))),
    }
}

fn broken(reason: impl Into<String>) -> DataError {
    DataError::Image { reason: reason.into() }
}

/// Whether this is a JPEG file without an end-of-image marker (`ff d9`) after its last start of scan (`ff da`), where
/// the coded data cannot contain one. Decoders fill up the missing rows in gray, which must not go unnoticed.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(&[0xff, 0xd8]) && last([0xff, 0xd9]) < last([0xff, 0xda])
}
