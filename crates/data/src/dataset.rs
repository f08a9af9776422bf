//! What every dataset can do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// The shape `[height, width, channels]` of one uint8 image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grayscale, 3 for RGB.
    pub channels: usize,
}

impl ImageShape {
    /// The bytes of one image.
    pub fn bytes(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Labelled uint8 images of one shape, addressed by index.
///
/// Reading is a pure function of the index and may happen on several threads at once. Indices and labels fit into u32.
pub trait Dataset: Send + Sync {
    /// How many samples there are; at least one.
    fn len(&self) -> usize;

    /// Whether there are no samples; false for every dataset of this crate, since none can be made empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of every image.
    fn shape(&self) -> ImageShape;

    /// The classes' names; a label is an index into them. In re-identification sets the classes are the identities.
    fn classes(&self) -> &[String];

    /// The label of sample `index < len()`.
    fn label(&self, index: usize) -> u32;

    /// How many floats each sample carries besides its label, such as several labels or the values of a regression; 0 where there are none.
    fn targets(&self) -> usize {
        0
    }

    /// Writes the targets of sample `index < len()` into `target`, which holds exactly [`Self::targets`] floats. A dataset without any writes nothing.
    fn read_target(&self, _index: usize, _target: &mut [f32]) {}

    /// Writes image `index < len()`, `[height, width, channels]`, into `image`, which holds exactly its bytes.
    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError>;

    /// How many broken files reading has replaced by others so far.
    fn skipped(&self) -> usize {
        0
    }

    /// All labels, in order.
    fn labels(&self) -> Vec<u32> {
        (0..self.len()).map(|index| self.label(index)).collect()
    }
}

/// Says whether a sample may be read into a buffer, before anything is indexed.
pub(crate) fn check_read(dataset: &impl Dataset, index: usize, image: &[u8]) -> Result<(), DataError> {
    if index >= dataset.len() {
        return Err(DataError::IndexOutOfRange { index, len: dataset.len() });
    }
    let expected = dataset.shape().bytes();
    if image.len() != expected {
        return Err(DataError::Length { what: "the buffer for an image", expected, got: image.len() });
    }
    Ok(())
}
