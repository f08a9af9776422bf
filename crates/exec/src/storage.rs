//! How the elements of a value lie in memory.

use binary_nets_bits::BitLayout;
use binary_nets_graph::{Meaning, ValueMeta};

/// The type of one stored element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// 64 packed bits.
    U64,
    /// A pixel.
    U8,
    /// A small exact integer.
    I16,
    /// An exact integer.
    I32,
    /// A large exact integer.
    I64,
    /// An index.
    U32,
    /// A float.
    F32,
}

impl Storage {
    /// The size of one element, in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::U64 | Self::I64 => 8,
        }
    }
}

/// Storage and number of stored elements of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The type of one element.
    pub storage: Storage,
    /// How many there are.
    pub elements: usize,
}

impl Layout {
    /// The interchange layout of a value: what hosts write and read, whatever a backend stores. Bits as words of
    /// [`BitLayout`], integers in the narrowest type that holds their bounds, indices as u32.
    pub fn interchange(value: &ValueMeta) -> Self {
        let elements = value.shape.elements();
        match value.meaning {
            Meaning::Bit { groups, .. } => Self { storage: Storage::U64, elements: Self::bits(value, groups).len() },
            Meaning::Int { min, max } => {
                let fits = |low: i64, high: i64| low <= min && max <= high;
                let storage = if fits(0, 255) {
                    Storage::U8
                } else if fits(i16::MIN.into(), i16::MAX.into()) {
                    Storage::I16
                } else if fits(i32::MIN.into(), i32::MAX.into()) {
                    Storage::I32
                } else {
                    Storage::I64
                };
                Self { storage, elements }
            }
            Meaning::Index { .. } => Self { storage: Storage::U32, elements },
            Meaning::F32 => Self { storage: Storage::F32, elements },
        }
    }

    /// Where the bits of a value that is packed in `groups` lie.
    pub fn bits(value: &ValueMeta, groups: usize) -> BitLayout {
        BitLayout { rows: value.shape.rows(), groups, channels: value.shape.channels() / groups }
    }

    /// The size, in bytes.
    pub const fn bytes(&self) -> usize {
        self.elements * self.storage.bytes()
    }
}
