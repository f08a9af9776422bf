//! The element types of other people's files, all of which are read as f32.

/// The type of a stored element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// Each type with its name in safetensors, that of its storage in `PyTorch`, and that of itself there.
const NAMES: [(Dtype, &str, &str, &str); 13] = [
    (Dtype::F64, "F64", "DoubleStorage", "float64"),
    (Dtype::F32, "F32", "FloatStorage", "float32"),
    (Dtype::F16, "F16", "HalfStorage", "float16"),
    (Dtype::Bf16, "BF16", "BFloat16Storage", "bfloat16"),
    (Dtype::I64, "I64", "LongStorage", "int64"),
    (Dtype::I32, "I32", "IntStorage", "int32"),
    (Dtype::I16, "I16", "ShortStorage", "int16"),
    (Dtype::I8, "I8", "CharStorage", "int8"),
    (Dtype::U64, "U64", "UInt64Storage", "uint64"),
    (Dtype::U32, "U32", "UInt32Storage", "uint32"),
    (Dtype::U16, "U16", "UInt16Storage", "uint16"),
    (Dtype::U8, "U8", "ByteStorage", "uint8"),
    (Dtype::Bool, "BOOL", "BoolStorage", "bool"),
];

/// What errors ask for.
pub const KNOWN: &str = "of floats or integers";

impl Dtype {
    /// The type that safetensors calls so.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        NAMES.iter().find(|names| names.1 == name).map(|names| names.0)
    }

    /// The type of the elements of a `torch.FloatStorage`, ….
    pub fn from_storage(name: &str) -> Option<Self> {
        NAMES.iter().find(|names| names.2 == name).map(|names| names.0)
    }

    /// The type `torch.float32`, ….
    pub fn from_torch(name: &str) -> Option<Self> {
        NAMES.iter().find(|names| names.3 == name).map(|names| names.0)
    }

    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// One of many little-endian elements, rounded to f32 where it is none; the bytes must hold it.
    pub fn element(self, bytes: &[u8], index: usize) -> f32 {
        fn at<const N: usize>(bytes: &[u8], index: usize) -> [u8; N] {
            bytes.as_chunks().0[index]
        }
        match self {
            Self::F64 => f64::from_le_bytes(at(bytes, index)) as f32,
            Self::F32 => f32::from_le_bytes(at(bytes, index)),
            Self::F16 => half(u16::from_le_bytes(at(bytes, index))),
            Self::Bf16 => f32::from_bits(u32::from(u16::from_le_bytes(at(bytes, index))) << 16),
            Self::I64 => i64::from_le_bytes(at(bytes, index)) as f32,
            Self::I32 => i32::from_le_bytes(at(bytes, index)) as f32,
            Self::I16 => f32::from(i16::from_le_bytes(at(bytes, index))),
            Self::I8 => f32::from(i8::from_le_bytes(at(bytes, index))),
            Self::U64 => u64::from_le_bytes(at(bytes, index)) as f32,
            Self::U32 => u32::from_le_bytes(at(bytes, index)) as f32,
            Self::U16 => f32::from(u16::from_le_bytes(at(bytes, index))),
            Self::U8 => f32::from(bytes[index]),
            Self::Bool => f32::from(u8::from(bytes[index] != 0)),
        }
    }
}

/// Half precision: a sign, five bits of exponent with a bias of 15, ten bits of fraction. Every one is an f32.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    let magnitude = match exponent {
        // Subnormals count in units of 2^-24.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_its_formula() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-14),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
            };
            let (expected, got) = (if bits >> 15 == 1 { -magnitude } else { magnitude }, f64::from(half(bits)));
            assert!(
                expected.is_nan() && got.is_nan() || expected.to_bits() == got.to_bits(),
                "{bits:04x}: {got}, not {expected}"
            );
        }
    }
}
