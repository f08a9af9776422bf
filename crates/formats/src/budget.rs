//! How much memory the contents of a file may take.

use crate::FormatError;

/// How many times its size a file may take in memory. What `PyTorch` saves takes up to four: bytes that are read as floats.
const FACTOR: usize = 16;

/// What a file may take besides, for small ones with large expanded tensors.
const FLOOR: usize = 1 << 20;

/// The bytes that may still be allocated. Compressed entries, entries that overlap, pickles and tensors that repeat their
/// storage can ask for any amount.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// The memory of a file of so many bytes.
    pub const fn new(file: usize) -> Self {
        Self::times(file, FACTOR)
    }

    /// The memory of a file of so many bytes of which each bit may become a float.
    pub const fn of_bits(file: usize) -> Self {
        Self::times(file, 8 * FACTOR)
    }

    const fn times(file: usize, factor: usize) -> Self {
        let limit = file.saturating_mul(factor).saturating_add(FLOOR);
        Self { limit, left: limit }
    }

    /// Takes bytes for what is called so in the file.
    pub fn spend(&mut self, what: &str, bytes: usize) -> Result<(), FormatError> {
        let too_large = || FormatError::TooLarge { what: what.to_owned(), bytes, limit: self.limit };
        self.left = self.left.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }

    /// Appends an item; takes the bytes that the list grows by where it must.
    pub fn push<T>(&mut self, what: &str, items: &mut Vec<T>, item: T) -> Result<(), FormatError> {
        if items.len() == items.capacity() {
            let more = items.len().max(4);
            self.spend(what, more.saturating_mul(size_of::<T>()))?;
            items.reserve_exact(more);
        }
        items.push(item);
        Ok(())
    }
}
