//! Person re-identification folders in the naming of Market-1501 (Zheng et al. 2015).
//!
//! A flat folder of `0002_c1s1_000451_03.jpg`: identity, camera and sequence, frame, detection. Identity `-1` is junk
//! and `0000` a distractor; neither is a person to learn, so both are left out.

use std::path::Path;

use crate::image_folder::{image_files, name};
use crate::{DataError, ImageFiles, ImageOptions};

/// The images of a folder, sorted by name. The label is the identity, numbered from 0 in ascending order, and its class
/// is named by its digits, such as `0002`.
///
/// Fails, naming the file, when an image's name does not follow the scheme; otherwise as
/// [`image_folder::open`](crate::image_folder::open).
pub fn open(folder: &Path, options: ImageOptions) -> Result<ImageFiles, DataError> {
    let (mut files, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for path in image_files(folder)? {
        let file_name = name(&path);
        let Some(identity) = identity(&file_name) else {
            let expected = "<identity>_c<camera>…, such as 0002_c1s1_000451_03.jpg".into();
            return Err(DataError::Format { path, what: "the file's name", expected, got: file_name });
        };
        if identity == "-1" || identity.bytes().all(|digit| digit == b'0') {
            continue;
        }
        // Names are sorted, so each identity's files lie together.
        if classes.last().is_none_or(|last| last != identity) {
            classes.push(identity.to_owned());
        }
        labels.push(classes.len() as u32 - 1);
        files.push(path);
    }
    ImageFiles::new(folder, files, labels, classes, options)
}

/// The identity, as it is written, of a file's name that follows the scheme.
fn identity(name: &str) -> Option<&str> {
    let (identity, rest) = name.split_once('_')?;
    let camera = rest.strip_prefix('c')?;
    let digits = identity.strip_prefix('-').unwrap_or(identity);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    (is_number && camera.starts_with(|first: char| first.is_ascii_digit())).then_some(identity)
}
