//! Person re-identification folders.

use std::path::Path;

use binary_nets_data::{DataError, Dataset, ImageOptions, Resize, market1501};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

const OPTIONS: ImageOptions = ImageOptions { channels: 3, size: None, resize: Resize::Stretch, skip_broken: false };

fn save(root: &Path, name: &str, value: u8) {
    RgbImage::from_pixel(2, 4, Rgb([value; 3])).save(root.join(name)).unwrap();
}

#[test]
fn identities_are_numbered_and_junk_is_left_out() {
    let root = TempDir::new().unwrap();
    let names = [
        ("0007_c2s3_070952_01.jpg", 40),
        ("0002_c1s1_000451_03.jpg", 10),
        ("1500_c6s3_000001_00.jpg", 50),
        ("0002_c5s1_000451_03.jpg", 20),
        ("-1_c3s1_000551_00.jpg", 1),
        ("0000_c3s1_000551_00.jpg", 2),
    ];
    for (name, value) in names {
        save(root.path(), name, value);
    }
    std::fs::write(root.path().join("Thumbs.db"), b"").unwrap();
    let people = market1501::open(root.path(), OPTIONS).unwrap();
    assert_eq!(people.labels(), [0, 0, 1, 2]);
    assert_eq!(people.classes(), ["0002", "0007", "1500"]);
    let mut image = [0; 24];
    for (index, value) in [10_u8, 20, 40, 50].into_iter().enumerate() {
        people.read(index, &mut image).unwrap();
        assert!(image.iter().all(|pixel| pixel.abs_diff(value) <= 2), "JPEG keeps a flat image within rounding");
    }
}

#[test]
fn names_out_of_the_scheme_and_folders_without_people_are_errors() {
    for name in ["holiday.jpg", "12x_c1s1_1_1.jpg", "0002_s1c1.jpg", "0002_c.jpg", "_c1s1.jpg", "-_c1.jpg"] {
        let root = TempDir::new().unwrap();
        save(root.path(), name, 0);
        let error = market1501::open(root.path(), OPTIONS).unwrap_err();
        assert!(matches!(&error, DataError::Format { path, .. } if path.ends_with(name)), "{name}: {error}");
    }
    let root = TempDir::new().unwrap();
    save(root.path(), "-1_c3s1_000551_00.jpg", 1);
    assert!(matches!(market1501::open(root.path(), OPTIONS), Err(DataError::Empty { .. })));
}
