//! A view of some samples of another dataset.

use std::ops::Range;
use std::sync::Arc;

use crate::{DataError, Dataset, ImageShape};

/// Some samples of another dataset, in an order of their own. The classes stay those of the whole.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<u32>,
}

impl Subset {
    /// The samples with these indices; an index may repeat. Fails when there are none or one is out of range.
    pub fn new(dataset: Arc<dyn Dataset>, indices: Vec<u32>) -> Result<Self, DataError> {
        let len = dataset.len();
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= len) {
            return Err(DataError::IndexOutOfRange { index: index as usize, len });
        }
        if indices.is_empty() {
            return Err(DataError::Empty { what: "the subset".into() });
        }
        Ok(Self { dataset, indices })
    }

    /// The samples of a range.
    pub fn range(dataset: Arc<dyn Dataset>, range: Range<usize>) -> Result<Self, DataError> {
        let len = dataset.len();
        if range.end > len {
            return Err(DataError::IndexOutOfRange { index: range.end - 1, len });
        }
        Self::new(dataset, range.map(|index| index as u32).collect())
    }

    /// The first `count` samples.
    pub fn first(dataset: Arc<dyn Dataset>, count: usize) -> Result<Self, DataError> {
        Self::range(dataset, 0..count)
    }

    fn whole_index(&self, index: usize) -> Result<usize, DataError> {
        let whole = self.indices.get(index).ok_or(DataError::IndexOutOfRange { index, len: self.indices.len() })?;
        Ok(*whole as usize)
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn shape(&self) -> ImageShape {
        self.dataset.shape()
    }

    fn classes(&self) -> &[String] {
        self.dataset.classes()
    }

    fn label(&self, index: usize) -> u32 {
        self.dataset.label(self.indices[index] as usize)
    }

    fn targets(&self) -> usize {
        self.dataset.targets()
    }

    fn read_target(&self, index: usize, target: &mut [f32]) {
        self.dataset.read_target(self.indices[index] as usize, target);
    }

    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        self.dataset.read(self.whole_index(index)?, image)
    }

    fn skipped(&self) -> usize {
        self.dataset.skipped()
    }
}
