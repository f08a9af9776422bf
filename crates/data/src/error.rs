//! What can go wrong with data, and whose fault it is.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use crate::ImageShape;

/// An error of this crate. Each variant names the file, option or sample that is to blame.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused to list or to read something.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not follow its format.
    #[error("{}: {what} should be {expected}, got {got}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Which part of the file is wrong.
        what: &'static str,
        /// What the format asks for.
        expected: String,
        /// What the file holds.
        got: String,
    },
    /// An image cannot be decoded, or not be resized.
    #[error("broken image: {reason}")]
    Image {
        /// The decoder's reason.
        reason: String,
    },
    /// An image file cannot be decoded, or not be resized.
    #[error("broken image {}: {reason}", path.display())]
    BrokenImage {
        /// The image file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// An image differs in size from the others, and no size to resize to was given.
    #[error("{} is {got}, but the other images are {expected}; give a size to resize to", path.display())]
    ImageSize {
        /// The image file.
        path: PathBuf,
        /// The size of the dataset's images.
        expected: ImageShape,
        /// The size of this image.
        got: ImageShape,
    },
    /// A folder of images is not divided into folders of classes that hold some.
    #[error("{} should hold <class>/*.png|jpg|jpeg, {got}", root.display())]
    ClassFolders {
        /// The folder.
        root: PathBuf,
        /// What is there instead.
        got: String,
    },
    /// There is nothing to read.
    #[error("{what} holds no images")]
    Empty {
        /// The folder, file or view.
        what: String,
    },
    /// Two things that belong together differ in length.
    #[error("{what} should hold {expected}, got {got}")]
    Length {
        /// The array or buffer.
        what: &'static str,
        /// The length that the rest implies.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A label is not below the number of classes.
    #[error("label {label} of sample {index} is not below the number of classes, {classes}")]
    LabelOutOfRange {
        /// The sample.
        index: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// A target is infinite or no number.
    #[error("the targets of sample {index} hold {target}, which is not finite")]
    TargetNotFinite {
        /// The sample.
        index: usize,
        /// The target.
        target: f32,
    },
    /// A sample's index is not below the number of samples.
    #[error("sample {index} does not exist: the dataset holds {len}")]
    IndexOutOfRange {
        /// The index asked for.
        index: usize,
        /// The length of the dataset.
        len: usize,
    },
    /// An option has a value that it cannot have.
    #[error("option {option}: expected {expected}, got {got}")]
    InvalidOption {
        /// The option, spelled as in the JavaScript API.
        option: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// The wait for a batch was called off; the loader goes on where it is.
    #[error("cancelled")]
    Cancelled,
    /// The loader has ended, after an error that was already reported or because one of its threads panicked.
    #[error("the loader has stopped after an earlier error")]
    Stopped,
}

impl DataError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    /// The error of an image with the file that the image came from; any other error as it is.
    #[must_use]
    pub fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Image { reason } => Self::BrokenImage { path: path.to_owned(), reason },
            other => other,
        }
    }

    pub(crate) fn option(option: &'static str, expected: impl Into<String>, got: &impl Display) -> Self {
        Self::InvalidOption { option, expected: expected.into(), got: got.to_string() }
    }
}
