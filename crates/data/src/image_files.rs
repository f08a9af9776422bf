//! A dataset of image files, decoded when they are read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::dataset::check_read;
use crate::decode::{decode, fit};
use crate::{DataError, Dataset, ImageShape, Resize};

/// How image files become images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageOptions {
    /// 1 for grayscale (Rec. 709 luma), 3 for RGB; an alpha channel is dropped.
    pub channels: usize,
    /// The `[height, width]` that images get. Without it, all must have the size of the first.
    pub size: Option<[usize; 2]>,
    /// How they get it.
    pub resize: Resize,
    /// Whether a file that cannot be decoded is replaced by the next readable one of its class, instead of failing.
    pub skip_broken: bool,
}

/// Labelled PNG and JPEG files. The content decides the format; an EXIF orientation is disregarded.
#[derive(Debug)]
pub struct ImageFiles {
    files: Vec<PathBuf>,
    labels: Vec<u32>,
    classes: Vec<String>,
    shape: ImageShape,
    options: ImageOptions,
    /// The samples that turned out to be broken.
    broken: Mutex<BTreeSet<usize>>,
}

impl ImageFiles {
    /// A dataset of `files` with one label each; `root`, where they come from, is named when there are none.
    pub(crate) fn new(
        root: &Path,
        files: Vec<PathBuf>,
        labels: Vec<u32>,
        classes: Vec<String>,
        options: ImageOptions,
    ) -> Result<Self, DataError> {
        if options.channels != 1 && options.channels != 3 {
            return Err(DataError::option("channels", "1 or 3", &options.channels));
        }
        if options.size.is_some_and(|size| size.contains(&0)) {
            return Err(DataError::option("size", "at least 1x1", &"0"));
        }
        if files.is_empty() {
            return Err(DataError::Empty { what: root.display().to_string() });
        }
        let [height, width] = options.size.unwrap_or_default();
        let shape = ImageShape { height, width, channels: options.channels };
        let mut dataset = Self { files, labels, classes, shape, options, broken: Mutex::default() };
        if options.size.is_none() {
            dataset.shape = dataset.first_shape()?;
        }
        Ok(dataset)
    }

    /// The file of sample `index < len()`.
    pub fn file(&self, index: usize) -> &Path {
        &self.files[index]
    }

    /// The broken files met so far, in the order of the samples.
    pub fn skipped_files(&self) -> Vec<PathBuf> {
        self.broken().iter().map(|&index| self.files[index].clone()).collect()
    }

    fn broken(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shape of the first image that can be read.
    fn first_shape(&self) -> Result<ImageShape, DataError> {
        let mut index = 0;
        loop {
            match self.decode(index) {
                Err(DataError::BrokenImage { .. }) if self.options.skip_broken && index + 1 < self.files.len() => {
                    self.broken().insert(index);
                    index += 1;
                }
                result => return result.map(|(shape, _)| shape),
            }
        }
    }

    /// The image of a file in its own size, or in the size asked for.
    fn decode(&self, index: usize) -> Result<(ImageShape, Vec<u8>), DataError> {
        let path = &self.files[index];
        let bytes = fs::read(path).map_err(DataError::io(path))?;
        let image = decode(&bytes).map_err(|error| error.of_file(path))?;
        let [height, width] = self.options.size.unwrap_or([image.height() as usize, image.width() as usize]);
        let shape = ImageShape { height, width, channels: self.options.channels };
        let pixels = fit(image, shape, self.options.resize).map_err(|error| error.of_file(path))?;
        Ok((shape, pixels))
    }

    fn read_one(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        let (got, pixels) = self.decode(index)?;
        if got != self.shape {
            return Err(DataError::ImageSize { path: self.files[index].clone(), expected: self.shape, got });
        }
        image.copy_from_slice(&pixels);
        Ok(())
    }
}

impl Dataset for ImageFiles {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> u32 {
        self.labels[index]
    }

    /// Reads a file; with `skip_broken`, a broken one is replaced by the next readable one of its class, counted round
    /// from the end to the start. So the label stays right, and the choice depends on the files alone.
    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        check_read(self, index, image)?;
        if !self.options.skip_broken {
            return self.read_one(index, image);
        }
        let label = self.labels[index];
        for candidate in (index..self.len()).chain(0..index).filter(|&other| self.labels[other] == label) {
            if self.broken().contains(&candidate) {
                continue;
            }
            match self.read_one(candidate, image) {
                Err(DataError::BrokenImage { .. }) => self.broken().insert(candidate),
                result => return result,
            };
        }
        let reason = format!("no file of class {} can be decoded", self.classes[label as usize]);
        Err(DataError::BrokenImage { path: self.files[index].clone(), reason })
    }

    fn skipped(&self) -> usize {
        self.broken().len()
    }
}
