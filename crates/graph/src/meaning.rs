//! What a value means; how it is stored is a backend's choice.

use std::fmt;

use binary_nets_bits::Codes;
use serde::{Deserialize, Serialize};

use crate::Shape;

/// What the elements of a value mean. A backend picks the storage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Meaning {
    /// One bit an element, packed along the last axis; each of the `groups` equal parts of that axis starts on a word.
    Bit {
        /// Which numbers the bits stand for.
        codes: Codes,
        /// How many parts the last axis is packed in.
        groups: usize,
    },
    /// Exact integers within bounds, both included. A uint8 image is `{ min: 0, max: 255 }`.
    Int {
        /// The smallest number that can occur.
        min: i64,
        /// The largest number that can occur.
        max: i64,
    },
    /// A choice among `classes`, counted from 0.
    Index {
        /// The number of choices.
        classes: u32,
    },
    /// A 32-bit float.
    F32,
}

impl Meaning {
    /// Bits in one group.
    pub const fn bits(codes: Codes) -> Self {
        Self::Bit { codes, groups: 1 }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit { codes, groups } => {
                let codes = match codes {
                    Codes::Sign => "sign",
                    Codes::Step => "step",
                };
                if *groups == 1 { write!(f, "bit({codes})") } else { write!(f, "bit({codes},{groups})") }
            }
            Self::Int { min, max } => write!(f, "int({min}..{max})"),
            Self::Index { classes } => write!(f, "index({classes})"),
            Self::F32 => f.write_str("f32"),
        }
    }
}

/// Meaning and shape of a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ValueMeta {
    /// What the elements mean.
    pub meaning: Meaning,
    /// How many there are.
    pub shape: Shape,
}

impl ValueMeta {
    /// A value of that meaning and shape.
    pub fn new(meaning: Meaning, shape: impl Into<Shape>) -> Self {
        Self { meaning, shape: shape.into() }
    }

    /// A float tensor.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self::new(Meaning::F32, shape)
    }
}

impl fmt::Display for ValueMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.meaning, self.shape)
    }
}
