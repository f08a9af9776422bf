//! Images as the pixels of a network's input: decoding, resizing, cropping, and what is refused.

use std::io::Cursor;

use binary_nets_data::{DataError, ImageShape, Resize, decode_image, fit_pixels};
use image::imageops::{FilterType, resize};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};

/// A different colour at each place.
fn rgb(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(40 * x) as u8, (40 * y) as u8, (10 * x + y) as u8]))
}

fn gray(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| Luma([(10 * y + x) as u8]))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encode(image, ImageFormat::Png)
}

fn shape(height: usize, width: usize, channels: usize) -> ImageShape {
    ImageShape { height, width, channels }
}

/// What a gray image keeps of itself: at each place, 10 times its row and its column.
fn kept(bytes: &[u8], height: usize, width: usize, shorter: u32) -> Vec<u8> {
    decode_image(bytes, shape(height, width, 1), Resize::Shorter(shorter)).unwrap()
}

fn message(error: &DataError) -> String {
    error.to_string()
}

#[test]
fn an_image_of_the_right_size_keeps_its_pixels() {
    let image = rgb(5, 3);
    for way in [Resize::Stretch, Resize::Shorter(3), Resize::Shorter(1)] {
        assert_eq!(decode_image(&png(image.clone()), shape(3, 5, 3), way).unwrap(), image.clone().into_raw());
        let luma = DynamicImage::from(image.clone()).into_luma8().into_raw();
        assert_eq!(decode_image(&png(image.clone()), shape(3, 5, 1), way).unwrap(), luma);
    }
    let gray = gray(5, 3).into_raw();
    assert_eq!(decode_image(&png(self::gray(5, 3)), shape(3, 5, 1), Resize::Stretch).unwrap(), gray);
    let tripled: Vec<u8> = gray.iter().flat_map(|&value| [value; 3]).collect();
    assert_eq!(decode_image(&png(self::gray(5, 3)), shape(3, 5, 3), Resize::Stretch).unwrap(), tripled);
}

#[test]
fn a_jpeg_of_one_colour_has_that_colour() {
    let bytes = encode(RgbImage::from_pixel(16, 16, Rgb([200, 100, 50])), ImageFormat::Jpeg);
    let pixels = decode_image(&bytes, shape(16, 16, 3), Resize::Stretch).unwrap();
    // JPEG rounds colours, in the transform of its coefficients and between colour spaces.
    assert!(pixels.chunks(3).all(|p| p.iter().zip([200, 100, 50]).all(|(&got, want)| got.abs_diff(want) <= 3)));
}

#[test]
fn stretches_whatever_the_aspect() {
    let image = rgb(6, 4);
    let expected = resize(&image, 3, 5, FilterType::Triangle).into_raw();
    assert_eq!(decode_image(&png(image), shape(5, 3, 3), Resize::Stretch).unwrap(), expected);
}

#[test]
fn crops_about_the_middle() {
    // One column too many is half a column on each side, which is none at the left; three are one and a half, which are two.
    for (width, left) in [(4, 0), (5, 0), (6, 1), (7, 2), (8, 2), (9, 2), (10, 3), (11, 4)] {
        let expected: Vec<u8> = (0..4).flat_map(|y| (0..4).map(move |x| 10 * y + left + x)).collect();
        assert_eq!(kept(&png(gray(width, 4)), 4, 4, 4), expected, "of {width} columns");
    }
    assert_eq!(kept(&png(gray(2, 5)), 2, 2, 2), [20, 21, 30, 31]);
    // Both sides are too long.
    assert_eq!(kept(&png(gray(6, 4)), 2, 2, 4), [12, 13, 22, 23]);
}

#[test]
fn scales_by_the_shorter_side_first() {
    // Four rows become five, so nine columns 11.25, rounded down.
    let image = gray(9, 4);
    let scaled = resize(&image, 11, 5, FilterType::Triangle);
    let expected: Vec<u8> =
        (0..3).flat_map(|y| (0..5).map(move |x| (x + 3, y + 1))).map(|(x, y)| scaled[(x, y)].0[0]).collect();
    assert_eq!(kept(&png(image), 3, 5, 5), expected);
}

#[test]
fn takes_more_of_the_shorter_side_where_the_input_would_not_fit() {
    // Tall: four columns are asked for, so the two become four and the four rows eight.
    let image = gray(2, 4);
    let scaled = resize(&image, 4, 8, FilterType::Triangle);
    let expected: Vec<u8> =
        (3..5).flat_map(|y| (0..4).map(move |x| (x, y))).map(|(x, y)| scaled[(x, y)].0[0]).collect();
    assert_eq!(kept(&png(image), 2, 4, 1), expected);
    // Wide: eight columns need 5.3 rows, six rows are asked for, and they have nine columns.
    let image = gray(3, 2);
    let scaled = resize(&image, 9, 6, FilterType::Triangle);
    let expected: Vec<u8> =
        (0..6).flat_map(|y| (0..8).map(move |x| (x, y))).map(|(x, y)| scaled[(x, y)].0[0]).collect();
    assert_eq!(kept(&png(image), 6, 8, 2), expected);
}

#[test]
fn pixels_go_the_way_of_a_png() {
    let image = RgbaImage::from_fn(7, 5, |x, y| Rgba([(9 * x) as u8, (7 * y) as u8, 200, (30 * x) as u8]));
    let opaque = RgbImage::from_fn(7, 5, |x, y| Rgb([(9 * x) as u8, (7 * y) as u8, 200]));
    for way in [Resize::Stretch, Resize::Shorter(4)] {
        for channels in [1, 3] {
            let shape = shape(3, 4, channels);
            let pixels = fit_pixels(image.as_raw(), 7, 5, shape, way).unwrap();
            assert_eq!(pixels, decode_image(&png(image.clone()), shape, way).unwrap());
            assert_eq!(pixels, decode_image(&png(opaque.clone()), shape, way).unwrap(), "alpha is dropped");
        }
    }
    assert_eq!(
        message(&fit_pixels(&[0; 8], 3, 1, shape(1, 1, 3), Resize::Stretch).unwrap_err()),
        "the pixels should hold 12, got 8"
    );
    for (width, height) in [(0, 1), (1, 0), (u32::MAX, u32::MAX)] {
        let error = fit_pixels(&[], width, height, shape(1, 1, 3), Resize::Stretch).unwrap_err();
        assert!(message(&error).contains(&format!("{width}x{height} pixels")), "{error}");
    }
}

#[test]
fn refuses_what_is_no_whole_image() {
    let decode = |bytes: &[u8]| decode_image(bytes, shape(4, 4, 3), Resize::Stretch);
    for bytes in [&b""[..], b"GIF89a", b"not an image"] {
        assert!(matches!(decode(bytes), Err(DataError::Image { .. })));
    }
    let jpeg = encode(rgb(16, 16), ImageFormat::Jpeg);
    let error = decode(&jpeg[..jpeg.len() - 2]).unwrap_err();
    assert_eq!(message(&error), "broken image: the JPEG data ends before its end marker");
    let png = png(rgb(4, 4));
    // What comes behind the pixels of a PNG file, the 12 bytes of its end, may be missing.
    for length in 0..png.len() - 12 - 4 {
        assert!(matches!(decode(&png[..length]), Err(DataError::Image { .. })), "{length} bytes");
    }
}

#[test]
fn refuses_sizes_that_cannot_be() {
    let bytes = png(rgb(4, 4));
    let option = |shape, way| match decode_image(&bytes, shape, way) {
        Err(DataError::InvalidOption { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    assert_eq!(option(shape(4, 4, 2), Resize::Stretch), "channels");
    assert_eq!(option(shape(0, 4, 3), Resize::Stretch), "size");
    assert_eq!(option(shape(4, usize::MAX, 3), Resize::Stretch), "size");
    assert_eq!(option(shape(4, 4, 3), Resize::Shorter(0)), "shorter");
}

#[test]
fn refuses_bombs() {
    // A hundred bytes, and what they say of themselves.
    let mut huge = png(gray(1, 1));
    huge[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let sum = crc(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = decode_image(&huge, shape(4, 4, 3), Resize::Stretch).unwrap_err();
    assert!(message(&error).contains("16384x16384 pixels"), "{error}");
    // A line as an image that keeps its aspect.
    let error = decode_image(&png(gray(1, 60_000)), shape(4, 4, 3), Resize::Shorter(256)).unwrap_err();
    assert!(message(&error).contains("256x15360000 pixels"), "{error}");
    // A line that is stretched: of its width and the new height on the way.
    let error = decode_image(&png(gray(60_000, 1)), shape(60_000, 1, 3), Resize::Stretch).unwrap_err();
    assert!(message(&error).contains("60000x60000 pixels"), "{error}");
}

/// CRC-32 as PNG has it, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
