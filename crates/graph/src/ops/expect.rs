//! The checks that shape rules share.

use binary_nets_bits::Codes;

use crate::{Meaning, Mismatch, ValueMeta};

/// Exactly `N` inputs.
pub(super) fn inputs<'a, const N: usize>(inputs: &[&'a ValueMeta]) -> Result<[&'a ValueMeta; N], Mismatch> {
    inputs.try_into().map_err(|_| Mismatch::new(format!("{N} inputs"), format!("{}", inputs.len())))
}

/// A float tensor of any rank.
pub(super) fn f32(meta: &ValueMeta) -> Result<(), Mismatch> {
    if meta.meaning == Meaning::F32 { Ok(()) } else { Err(Mismatch::new("an f32 tensor", meta.to_string())) }
}

/// A float tensor of rank `N`; its extents.
pub(super) fn f32_rank<const N: usize>(meta: &ValueMeta, what: &str) -> Result<[usize; N], Mismatch> {
    let extents = <[usize; N]>::try_from(&meta.shape[..]);
    match (meta.meaning, extents) {
        (Meaning::F32, Ok(extents)) => Ok(extents),
        _ => Err(Mismatch::new(format!("{what} as an f32 tensor of rank {N}"), meta.to_string())),
    }
}

/// A float vector of `n` elements.
pub(super) fn f32_vector(meta: &ValueMeta, n: usize, what: &str) -> Result<(), Mismatch> {
    if meta.meaning == Meaning::F32 && meta.shape[..] == [n] {
        Ok(())
    } else {
        Err(Mismatch::new(format!("{what} f32[{n}]"), meta.to_string()))
    }
}

/// Packed bits of rank `N`; their extents, codes and groups.
pub(super) fn bits_rank<const N: usize>(meta: &ValueMeta, what: &str) -> Result<([usize; N], Codes, usize), Mismatch> {
    let extents = <[usize; N]>::try_from(&meta.shape[..]);
    match (meta.meaning, extents) {
        (Meaning::Bit { codes, groups }, Ok(extents)) => Ok((extents, codes, groups)),
        _ => Err(Mismatch::new(format!("{what} as bits of rank {N}"), meta.to_string())),
    }
}

/// A mask of that shape.
pub(super) fn mask_of(mask: &ValueMeta, shape: &[usize]) -> Result<(), Mismatch> {
    if mask.meaning == Meaning::bits(Codes::Step) && mask.shape[..] == *shape {
        Ok(())
    } else {
        Err(Mismatch::new(format!("a mask bit(step){shape:?}"), mask.to_string()))
    }
}

/// Two float tensors of the same shape.
pub(super) fn same_f32(a: &ValueMeta, b: &ValueMeta) -> Result<(), Mismatch> {
    f32(a)?;
    if a == b { Ok(()) } else { Err(Mismatch::new(a.to_string(), b.to_string())) }
}

/// A last axis that falls into `groups` equal parts.
pub(super) fn divisible_channels(meta: &ValueMeta, groups: usize) -> Result<(), Mismatch> {
    if groups > 0 && meta.shape.channels().is_multiple_of(groups) {
        Ok(())
    } else {
        Err(Mismatch::new(format!("channels divisible by {groups} groups"), meta.to_string()))
    }
}
