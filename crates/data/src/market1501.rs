//! Person re-identification folders in the naming of Market-1501 (Zheng et al. 2015).
//!
//! A flat folder of `0002_c1s1_000451_03.jpg`: identity, camera and sequence, frame, detection. Identity `-1` is junk
//! and `0000` a distractor; neither is a person to learn, so both are left out.

use std::path::{Path, PathBuf};

use crate::image_folder::{image_files, name};
use crate::{DataError, Dataset, ImageFiles, ImageOptions, ImageShape};

/// The people of one Market-1501 folder; the label is the identity, numbered from 0 in ascending order.
#[derive(Debug)]
pub struct Market1501 {
    files: ImageFiles,
    cameras: Vec<u32>,
}

/// The images of a folder, sorted by name; the class of an identity is named by its digits, such as `0002`.
///
/// Fails, naming the file, when an image's name does not follow the scheme; otherwise as
/// [`image_folder::open`](crate::image_folder::open).
pub fn open(folder: &Path, options: ImageOptions) -> Result<Market1501, DataError> {
    let mut people: Vec<(String, u32, PathBuf)> = Vec::new();
    for path in image_files(folder)? {
        let file_name = name(&path);
        let Some((identity, camera)) = parse(&file_name) else {
            let expected = "<identity>_c<camera>…, such as 0002_c1s1_000451_03.jpg".into();
            return Err(DataError::Format { path, what: "the file's name", expected, got: file_name });
        };
        if identity != "-1" && identity.bytes().any(|digit| digit != b'0') {
            people.push((identity.to_owned(), camera, path));
        }
    }
    // Names are sorted, so each identity's files lie together.
    let mut classes: Vec<String> = people.iter().map(|(identity, ..)| identity.clone()).collect();
    classes.dedup();
    let (mut files, mut labels, mut cameras) = (Vec::new(), Vec::new(), Vec::new());
    let mut label = 0;
    for (identity, camera, path) in people {
        if classes[label] != identity {
            label += 1;
        }
        files.push(path);
        labels.push(label as u32);
        cameras.push(camera);
    }
    Ok(Market1501 { files: ImageFiles::new(folder, files, labels, classes, options)?, cameras })
}

impl Market1501 {
    /// The camera of sample `index < len()`: retrieval does not count matches of the query's own camera.
    pub fn camera(&self, index: usize) -> u32 {
        self.cameras[index]
    }
}

impl Dataset for Market1501 {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> ImageShape {
        self.files.shape()
    }

    fn classes(&self) -> &[String] {
        self.files.classes()
    }

    fn label(&self, index: usize) -> u32 {
        self.files.label(index)
    }

    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        self.files.read(index, image)
    }

    fn skipped(&self) -> usize {
        self.files.skipped()
    }
}

/// The identity, as it is written, and the camera of a file's name.
fn parse(name: &str) -> Option<(&str, u32)> {
    let (identity, rest) = name.split_once('_')?;
    let digits = identity.strip_prefix('-').unwrap_or(identity);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let camera = rest.strip_prefix('c')?;
    let end = camera.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(camera.len());
    Some((identity, camera[..end].parse().ok()?))
}
