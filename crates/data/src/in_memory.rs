//! A dataset held as arrays.

use crate::dataset::check_read;
use crate::{DataError, Dataset, ImageShape};

/// Images, labels and, where there are any, targets in memory.
#[derive(Clone, Debug)]
pub struct InMemory {
    shape: ImageShape,
    images: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
    /// `[n, k]`
    targets: Vec<f32>,
}

impl InMemory {
    /// A dataset of `images` `[n, height, width, channels]` and `labels` `[n]`, each label below `classes.len()`.
    ///
    /// Fails when a size is zero, when the lengths disagree or when a label is out of range.
    pub fn new(shape: ImageShape, images: Vec<u8>, labels: Vec<u32>, classes: Vec<String>) -> Result<Self, DataError> {
        let bytes = [shape.height, shape.width, shape.channels, labels.len()]
            .into_iter()
            .try_fold(1, usize::checked_mul)
            .ok_or_else(|| DataError::option("shape", "sizes that fit into memory", &shape))?;
        if shape.height == 0 || shape.width == 0 || shape.channels == 0 {
            return Err(DataError::option("shape", "sizes of at least 1", &shape));
        }
        if images.len() != bytes {
            return Err(DataError::Length { what: "the images' array", expected: bytes, got: images.len() });
        }
        if labels.is_empty() {
            return Err(DataError::Empty { what: "the images' array".into() });
        }
        if let Some((index, &label)) = labels.iter().enumerate().find(|&(_, &label)| label as usize >= classes.len()) {
            return Err(DataError::LabelOutOfRange { index, label, classes: classes.len() });
        }
        Ok(Self { shape, images, labels, classes, targets: Vec::new() })
    }

    /// The dataset with targets `[n, k]`, k of them for each sample.
    ///
    /// Fails when they do not fall into n parts of 1 or more, or when one is not finite.
    pub fn with_targets(mut self, targets: Vec<f32>) -> Result<Self, DataError> {
        let n = self.labels.len();
        if targets.is_empty() || !targets.len().is_multiple_of(n) {
            let expected = format!("a multiple of {n} numbers, the same for each sample");
            return Err(DataError::option("targets", expected, &targets.len()));
        }
        let each = targets.len() / n;
        if let Some(place) = targets.iter().position(|target| !target.is_finite()) {
            return Err(DataError::TargetNotFinite { index: place / each, target: targets[place] });
        }
        self.targets = targets;
        Ok(self)
    }
}

impl Dataset for InMemory {
    fn len(&self) -> usize {
        self.labels.len()
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

    fn targets(&self) -> usize {
        self.targets.len() / self.labels.len()
    }

    fn read_target(&self, index: usize, target: &mut [f32]) {
        target.copy_from_slice(&self.targets[index * target.len()..][..target.len()]);
    }

    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        check_read(self, index, image)?;
        image.copy_from_slice(&self.images[index * image.len()..][..image.len()]);
        Ok(())
    }
}
