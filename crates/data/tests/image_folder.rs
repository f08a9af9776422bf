//! Folders of image files: order, decoding, resizing, and files that are broken.

use std::fs;
use std::path::{Path, PathBuf};

use binary_nets_data::{DataError, Dataset, ImageFiles, ImageOptions, ImageShape, Resize, image_folder};
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

const RGB: ImageOptions = ImageOptions { channels: 3, size: None, resize: Resize::Stretch, skip_broken: false };
const GRAY: ImageOptions = ImageOptions { channels: 1, ..RGB };

fn write(root: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn plain(value: u8) -> Vec<u8> {
    encode(&RgbImage::from_pixel(4, 3, Rgb([value; 3])), ImageFormat::Png)
}

fn read(dataset: &ImageFiles, index: usize) -> Vec<u8> {
    let mut image = vec![0; dataset.shape().bytes()];
    dataset.read(index, &mut image).unwrap();
    image
}

fn error(dataset: &ImageFiles, index: usize) -> DataError {
    dataset.read(index, &mut vec![0; dataset.shape().bytes()]).unwrap_err()
}

#[test]
fn sorts_classes_and_files_and_passes_over_the_rest() {
    let root = TempDir::new().unwrap();
    for (name, value) in [("cat/b.png", 1), ("cat/a.PNG", 2), ("cat/B.jpeg.png", 3), ("ant/z.png", 4), ("bee/1.png", 5)]
    {
        write(root.path(), name, &plain(value));
    }
    for name in [".cache/a.png", "cat/.hidden.png", "cat/deeper.png/a.png", "cat/notes.txt", "top.png"] {
        write(root.path(), name, b"not an image");
    }
    let dataset = image_folder::open(root.path(), None, RGB).unwrap();
    assert_eq!(dataset.classes(), ["ant", "bee", "cat"]);
    assert_eq!(dataset.labels(), [0, 1, 2, 2, 2]);
    assert_eq!((0..5).map(|index| read(&dataset, index)[0]).collect::<Vec<_>>(), [4, 5, 3, 2, 1]);
    assert_eq!(dataset.file(4), root.path().join("cat/b.png"));
    assert_eq!(dataset.shape(), ImageShape { height: 3, width: 4, channels: 3 });
}

#[test]
fn given_classes_keep_their_labels() {
    let root = TempDir::new().unwrap();
    write(root.path(), "cat/a.png", &plain(1));
    let classes = ["dog", "ant", "cat"].map(String::from);
    let dataset = image_folder::open(root.path(), Some(&classes), RGB).unwrap();
    assert_eq!((dataset.labels(), dataset.classes()), (vec![2], &classes[..]));
    let error = image_folder::open(root.path(), Some(&classes[..2]), RGB).unwrap_err();
    assert!(matches!(error, DataError::InvalidOption { option: "classes", .. }), "{error}");
}

#[test]
fn png_pixels_arrive_unchanged_and_channels_first_within_a_pixel() {
    let root = TempDir::new().unwrap();
    let colors = RgbImage::from_fn(4, 3, |x, y| Rgb([x as u8, 10 + y as u8, 200]));
    write(root.path(), "a/a.png", &encode(&colors, ImageFormat::Png));
    let dataset = image_folder::open(root.path(), None, RGB).unwrap();
    let expected: Vec<u8> = (0..3).flat_map(|y| (0..4).flat_map(move |x| [x, 10 + y, 200])).collect();
    assert_eq!(read(&dataset, 0), expected);
}

#[test]
fn grayscale_rgb_and_alpha_convert_to_the_channels_asked_for() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    GrayImage::from_pixel(2, 2, Luma([90])).save(root.path().join("a/gray.png")).unwrap();
    RgbImage::from_pixel(2, 2, Rgb([255, 0, 0])).save(root.path().join("a/red.png")).unwrap();
    RgbaImage::from_pixel(2, 2, Rgba([7, 7, 7, 0])).save(root.path().join("a/seen_through.png")).unwrap();
    let gray = image_folder::open(root.path(), None, GRAY).unwrap();
    // Rec. 709: red counts 0.2126 * 255 = 54.2.
    assert_eq!([0, 1, 2].map(|index| read(&gray, index)), [vec![90; 4], vec![54; 4], vec![7; 4]]);
    let rgb = image_folder::open(root.path(), None, RGB).unwrap();
    assert_eq!(read(&rgb, 0), [90; 12]);
    assert_eq!(read(&rgb, 2), [7; 12]);
}

#[test]
fn jpeg_is_decoded_within_its_loss() {
    let root = TempDir::new().unwrap();
    let ramp = RgbImage::from_fn(32, 16, |x, _| Rgb([x as u8 * 8; 3]));
    write(root.path(), "a/a.jpg", &encode(&ramp, ImageFormat::Jpeg));
    write(root.path(), "a/b.JPEG", &encode(&ramp, ImageFormat::Jpeg));
    let dataset = image_folder::open(root.path(), None, RGB).unwrap();
    // A smooth ramp at the encoder's default quality of 75: quantisation moves a pixel by a few levels.
    for index in 0..2 {
        for (&got, &expected) in read(&dataset, index).iter().zip(ramp.as_raw()) {
            assert!(got.abs_diff(expected) <= 8, "{got} should be near {expected}");
        }
    }
}

#[test]
fn resizes_by_averaging() {
    let root = TempDir::new().unwrap();
    // Left half 40, right half 200; a triangle filter keeps flat areas away from the edge as they are.
    let halves = RgbImage::from_fn(64, 32, |x, _| Rgb([if x < 32 { 40 } else { 200 }; 3]));
    write(root.path(), "a/a.png", &encode(&halves, ImageFormat::Png));
    write(root.path(), "a/b.png", &plain(9));
    let dataset = image_folder::open(root.path(), None, ImageOptions { size: Some([5, 8]), ..GRAY }).unwrap();
    assert_eq!(dataset.shape(), ImageShape { height: 5, width: 8, channels: 1 });
    for row in read(&dataset, 0).chunks(8) {
        assert_eq!((&row[..3], &row[5..]), (&[40; 3][..], &[200; 3][..]));
        assert!(40 <= row[3] && row[3] < row[4] && row[4] <= 200, "{row:?}");
    }
    assert_eq!(read(&dataset, 1), [9; 40]);
}

#[test]
fn sizes_that_differ_are_named() {
    let root = TempDir::new().unwrap();
    write(root.path(), "a/a.png", &plain(1));
    let wide = write(root.path(), "a/b.png", &encode(&RgbImage::new(5, 3), ImageFormat::Png));
    for skip_broken in [false, true] {
        let dataset = image_folder::open(root.path(), None, ImageOptions { skip_broken, ..RGB }).unwrap();
        match error(&dataset, 1) {
            DataError::ImageSize { path, expected, got } => {
                assert_eq!((path, expected.width, got.width), (wide.clone(), 4, 5));
            }
            error => panic!("{error} should be a size error"),
        }
    }
}

/// Class a: broken, 11, broken, 13; class b: 21, broken.
fn partly_broken(root: &Path) -> [PathBuf; 3] {
    let png = plain(1);
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y * 37 % 251) as u8; 3]));
    let jpeg = encode(&noise, ImageFormat::Jpeg);
    let broken = [
        write(root, "a/0.png", &png[..png.len() - 20]),
        write(root, "a/2.jpg", &jpeg[..jpeg.len() / 2]),
        write(root, "b/1.png", b""),
    ];
    for (name, value) in [("a/1.png", 11), ("a/3.png", 13), ("b/0.png", 21)] {
        write(root, name, &plain(value));
    }
    broken
}

#[test]
fn broken_files_are_named() {
    let root = TempDir::new().unwrap();
    let broken = partly_broken(root.path());
    let first = image_folder::open(root.path(), None, RGB).unwrap_err();
    assert!(matches!(&first, DataError::BrokenImage { path, .. } if *path == broken[0]), "{first}");

    let dataset = image_folder::open(root.path(), None, ImageOptions { size: Some([3, 4]), ..RGB }).unwrap();
    for (index, path) in [0, 2, 5].into_iter().zip(&broken) {
        let error = error(&dataset, index);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(matches!(error, DataError::BrokenImage { .. }), "{error}");
    }
    assert_eq!([1, 3, 4].map(|index| read(&dataset, index)[0]), [11, 13, 21]);
    assert_eq!(dataset.skipped(), 0);
}

#[test]
fn broken_files_are_replaced_within_their_class_and_counted() {
    let root = TempDir::new().unwrap();
    let broken = partly_broken(root.path());
    let options = ImageOptions { skip_broken: true, ..RGB };
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] {
        let dataset = image_folder::open(root.path(), None, options).unwrap();
        assert_eq!(dataset.skipped(), 1, "only what was looked at to learn the size");
        for _ in 0..2 {
            for index in order {
                assert_eq!(read(&dataset, index)[0], [11, 11, 13, 13, 21, 21][index]);
            }
        }
        assert_eq!(dataset.skipped(), 3);
        assert_eq!(dataset.skipped_files(), broken);
    }
}

#[test]
fn a_class_without_a_readable_file_is_an_error_even_when_skipping() {
    let root = TempDir::new().unwrap();
    write(root.path(), "a/0.png", b"x");
    let last = write(root.path(), "a/1.png", b"y");
    let options = ImageOptions { skip_broken: true, ..RGB };
    let at_open = image_folder::open(root.path(), None, options).unwrap_err();
    assert!(matches!(&at_open, DataError::BrokenImage { path, .. } if *path == last), "{at_open}");
    write(root.path(), "b/0.png", &plain(3));
    let dataset = image_folder::open(root.path(), None, options).unwrap();
    for _ in 0..2 {
        let error = error(&dataset, 1);
        assert!(matches!(&error, DataError::BrokenImage { path, .. } if *path == last), "{error}");
    }
    assert_eq!(read(&dataset, 2)[0], 3);
}

#[test]
fn bad_folders_and_options_are_named() {
    let root = TempDir::new().unwrap();
    let missing = root.path().join("missing");
    let open = |root: &Path, options| image_folder::open(root, None, options).unwrap_err();
    assert!(matches!(open(&missing, RGB), DataError::Io { path, .. } if path == missing));
    let no_classes = || open(root.path(), RGB).to_string();
    let should = format!("{} should hold <class>/*.png|jpg|jpeg, ", root.path().display());
    assert_eq!(no_classes(), format!("{should}and there is no folder in it"));
    // Images, but of no class.
    let image = write(root.path(), "a.png", &plain(1));
    assert_eq!(no_classes(), format!("{should}and there is no folder in it"));
    fs::remove_file(image).unwrap();
    fs::create_dir(root.path().join("bare")).unwrap();
    assert_eq!(no_classes(), format!("{should}and bare/ holds no image"));
    write(root.path(), "bare/a.png", &plain(1));
    let option = |options| match open(root.path(), options) {
        DataError::InvalidOption { option, .. } => option,
        error => panic!("{error} should be about an option"),
    };
    assert_eq!(option(ImageOptions { channels: 2, ..RGB }), "channels");
    assert_eq!(option(ImageOptions { size: Some([0, 4]), ..RGB }), "size");
    let dataset = image_folder::open(root.path(), None, RGB).unwrap();
    assert!(matches!(dataset.read(1, &mut [0; 36]), Err(DataError::IndexOutOfRange { index: 1, len: 1 })));
    assert!(matches!(dataset.read(0, &mut [0; 35]), Err(DataError::Length { expected: 36, got: 35, .. })));
    fs::remove_file(dataset.file(0)).unwrap();
    assert!(matches!(error(&dataset, 0), DataError::Io { .. }));
}
