//! IDX files: what is right is read, what is wrong is named.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use binary_nets_data::{DataError, Dataset, ImageShape, mnist};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

/// An IDX file of bytes, by the format's description.
fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend_from_slice(data);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pixels() -> Vec<u8> {
    (0..3 * 4 * 5).map(|i| (i * 7 % 251) as u8).collect()
}

fn images() -> Vec<u8> {
    idx(&[3, 4, 5], &pixels())
}

fn labels() -> Vec<u8> {
    idx(&[3], &[7, 0, 9])
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(images: &[u8], labels: &[u8]) -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        fs::write(files.images(), images).unwrap();
        fs::write(files.labels(), labels).unwrap();
        files
    }

    fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    fn labels(&self) -> PathBuf {
        self.folder.path().join("labels")
    }

    fn error(&self) -> DataError {
        mnist::open(&self.images(), &self.labels()).unwrap_err()
    }
}

fn assert_format(error: &DataError, file: &Path, part: &str, value: &str) {
    match error {
        DataError::Format { path, what, got, .. } => {
            assert_eq!((path.as_path(), *what), (file, part));
            assert!(got.contains(value), "{got} should contain {value}");
        }
        _ => panic!("{error} should be a format error"),
    }
}

#[test]
fn reads_images_and_labels() {
    for files in [Files::new(&images(), &labels()), Files::new(&gzip(&images()), &gzip(&labels()))] {
        let dataset = mnist::open(&files.images(), &files.labels()).unwrap();
        assert_eq!(dataset.shape(), ImageShape { height: 4, width: 5, channels: 1 });
        assert_eq!(dataset.labels(), [7, 0, 9]);
        assert_eq!(dataset.classes(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        let mut image = [0; 20];
        for index in 0..3 {
            dataset.read(index, &mut image).unwrap();
            assert_eq!(image, pixels()[index * 20..][..20]);
        }
    }
}

#[test]
fn finds_the_files_of_a_folder_plain_or_compressed() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", &images());
    write("train-labels-idx1-ubyte.gz", &gzip(&labels()));
    write("t10k-images-idx3-ubyte.gz", &gzip(&idx(&[1, 2, 2], &[1, 2, 3, 4])));
    write("t10k-labels-idx1-ubyte", &idx(&[1], &[5]));
    assert_eq!(mnist::train(folder.path()).unwrap().len(), 3);
    assert_eq!(mnist::test(folder.path()).unwrap().labels(), [5]);

    fs::remove_file(folder.path().join("train-images-idx3-ubyte")).unwrap();
    let error = mnist::train(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::Io { path, .. } if path.ends_with("train-images-idx3-ubyte")), "{error}");
}

#[test]
fn names_the_file_that_is_cut_off_at_any_length() {
    for compress in [false, true] {
        let pack = |bytes: &[u8]| if compress { gzip(bytes) } else { bytes.to_vec() };
        for length in 0..images().len() {
            let files = Files::new(&pack(&images()[..length]), &labels());
            let (part, got) = match length {
                0..16 => ("the header", length),
                _ => ("the data after the header", length - 16),
            };
            assert_format(&files.error(), &files.images(), part, &format!("{got} bytes"));
        }
        for length in 0..labels().len() {
            let files = Files::new(&images(), &pack(&labels()[..length]));
            let (part, got) = match length {
                0..8 => ("the header", length),
                _ => ("the data after the header", length - 8),
            };
            assert_format(&files.error(), &files.labels(), part, &format!("{got} bytes"));
        }
    }
}

#[test]
fn a_compressed_file_cut_off_anywhere_is_an_error() {
    let whole = gzip(&images());
    for length in 0..whole.len() {
        let files = Files::new(&whole[..length], &labels());
        assert_eq!(error_path(&files.error()), files.images(), "{length} bytes");
    }
    let mut damaged = whole;
    damaged[12] ^= 0xff;
    let files = Files::new(&damaged, &labels());
    assert_eq!(error_path(&files.error()), files.images());
}

fn error_path(error: &DataError) -> &Path {
    match error {
        DataError::Io { path, .. } | DataError::Format { path, .. } => path,
        _ => panic!("{error} should name a file"),
    }
}

#[test]
fn names_a_wrong_magic_number() {
    let files = Files::new(&labels(), &images());
    assert_format(&files.error(), &files.images(), "the magic number", "0x00000801");
    let files = Files::new(&images(), &images());
    assert_format(&files.error(), &files.labels(), "the magic number", "0x00000803");
    let files = Files::new(b"<!DOCTYPE html>", &labels());
    assert_format(&files.error(), &files.images(), "the magic number", "0x3c21444f");
}

#[test]
fn names_trailing_bytes() {
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    let files = Files::new(&longer(images()), &labels());
    assert_format(&files.error(), &files.images(), "the data after the header", "more");
    let files = Files::new(&images(), &longer(labels()));
    assert_format(&files.error(), &files.labels(), "the data after the header", "more");
}

#[test]
fn names_counts_sizes_and_labels_that_are_wrong() {
    let files = Files::new(&images(), &idx(&[2], &[1, 2]));
    assert_format(&files.error(), &files.labels(), "the count of labels", "2");
    let files = Files::new(&images(), &idx(&[3], &[1, 10, 2]));
    assert_format(&files.error(), &files.labels(), "every label", "10 at 1");
    let files = Files::new(&idx(&[3, 0, 5], &[]), &labels());
    assert_format(&files.error(), &files.images(), "the size of an image", "0x5");
    let files = Files::new(&idx(&[u32::MAX; 3], &[]), &labels());
    assert_format(&files.error(), &files.images(), "the sizes", "4294967295");
    // A size that fits an address space, but not this file, must not be allocated.
    let files = Files::new(&idx(&[u32::MAX, 4096, 4096], &[1, 2, 3]), &labels());
    assert_format(&files.error(), &files.images(), "the data after the header", "3 bytes");
    let files = Files::new(&idx(&[0, 4, 5], &[]), &idx(&[0], &[]));
    assert!(matches!(files.error(), DataError::Empty { .. }));
}
