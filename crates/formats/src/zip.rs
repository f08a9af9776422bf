//! Reading a zip archive that is in memory: its central directory, entries that are stored (not even copied) or deflated, zip64.
//!
//! Written here because of what zip libraries do not offer together: entries that are slices of the file, the byte that is to blame, a refusal of entries
//! of one name, and checksums of 0 passed over: `PyTorch` writes these when it is told to write none (`set_crc32_options(False)`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::FormatError;
use crate::budget::Budget;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR_64: &[u8; 4] = b"PK\x06\x07";

/// The bytes of these records before what varies.
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const LOCATOR_64_BYTES: usize = 20;

/// The extra field of an entry that holds its sizes in 64 bits.
const EXTRA_64: usize = 1;

/// A size that stands elsewhere, in 64 bits.
const ELSEWHERE: usize = u32::MAX as usize;

/// An archive and its directory.
#[derive(Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The first byte of its local header.
    offset: usize,
    /// Bytes in the file.
    packed: usize,
    /// Bytes of its contents.
    size: usize,
    checksum: u32,
    deflated: bool,
}

fn wrong(offset: usize, reason: impl Into<String>) -> FormatError {
    FormatError::Zip { offset, reason: reason.into() }
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<usize, FormatError> {
    let field = at.checked_add(N).and_then(|end| bytes.get(at..end));
    let field = field.ok_or_else(|| wrong(bytes.len(), "the file is cut off"))?;
    let number = field.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    usize::try_from(number).map_err(|_| wrong(at, format!("{number} is beyond what this machine can address")))
}

/// The record of a signature at a place, if there is one.
fn is(bytes: &[u8], at: usize, signature: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|record| record.starts_with(signature))
}

impl<'a> Archive<'a> {
    /// Whether a file starts as zip archives do.
    pub fn recognises(bytes: &[u8]) -> bool {
        is(bytes, 0, LOCAL) || is(bytes, 0, END)
    }

    /// Reads the directory.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (mut at, directory_bytes, count) = directory(bytes)?;
        let end = at.checked_add(directory_bytes).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(|| wrong(at, "the directory reaches beyond the end of the file"))?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            if at.saturating_add(CENTRAL_BYTES) > end || !is(bytes, at, CENTRAL) {
                return Err(wrong(at, "the directory has fewer entries than it says"));
            }
            let [name_bytes, extra_bytes, comment_bytes] =
                [number::<2>(bytes, at + 28)?, number::<2>(bytes, at + 30)?, number::<2>(bytes, at + 32)?];
            let name_at = at + CENTRAL_BYTES;
            let extra_at = name_at + name_bytes;
            let next = extra_at + extra_bytes + comment_bytes;
            if next > end {
                return Err(wrong(at, "an entry reaches beyond the end of the directory"));
            }
            let name = std::str::from_utf8(&bytes[name_at..extra_at]);
            let name = name.map_err(|_| wrong(name_at, "the name of an entry is not UTF-8"))?;
            let entry = Entry::read(bytes, at, &bytes[extra_at..extra_at + extra_bytes])?;
            if entries.insert(name.to_owned(), entry).is_some() {
                return Err(FormatError::Key { path: name.to_owned() });
            }
            at = next;
        }
        Ok(Self { bytes, entries })
    }

    /// The names of the entries, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The contents of an entry; nothing where there is none of that name.
    pub fn read(&self, name: &str, budget: &mut Budget) -> Result<Option<Cow<'a, [u8]>>, FormatError> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let fail = |reason: &str| FormatError::Entry { name: name.to_owned(), reason: reason.to_owned() };
        if !is(self.bytes, entry.offset, LOCAL) {
            return Err(fail("it is not where the directory says"));
        }
        let name_bytes = number::<2>(self.bytes, entry.offset + 26)?;
        let data = entry.offset + LOCAL_BYTES + name_bytes + number::<2>(self.bytes, entry.offset + 28)?;
        if !is(self.bytes, entry.offset + LOCAL_BYTES, name.as_bytes()) || name_bytes != name.len() {
            return Err(fail("another entry is where the directory says"));
        }
        let packed = data.checked_add(entry.packed).and_then(|end| self.bytes.get(data..end));
        let packed = packed.ok_or_else(|| fail("it reaches beyond the end of the file"))?;
        // What is only looked at costs as much: entries that overlap would be looked at again and again.
        budget.spend(name, entry.size.max(entry.packed))?;
        let contents = if entry.deflated {
            let mut contents = Vec::with_capacity(entry.size);
            let inflated = DeflateDecoder::new(packed).take(entry.size as u64 + 1).read_to_end(&mut contents);
            inflated.map_err(|error| fail(&format!("it cannot be inflated: {error}")))?;
            Cow::Owned(contents)
        } else {
            Cow::Borrowed(packed)
        };
        if contents.len() != entry.size {
            return Err(fail("it has not the size that the directory says"));
        }
        let checksum = crc32fast::hash(&contents);
        if entry.checksum != 0 && entry.checksum != checksum {
            let expected = entry.checksum;
            return Err(fail(&format!("it is corrupted: its checksum is {checksum:08x}, it should be {expected:08x}")));
        }
        Ok(Some(contents))
    }
}

impl Entry {
    /// The entry whose record in the directory is at `at`, and has these extra fields.
    fn read(bytes: &[u8], at: usize, extra: &[u8]) -> Result<Self, FormatError> {
        let (flags, method) = (number::<2>(bytes, at + 8)?, number::<2>(bytes, at + 10)?);
        if flags & 1 != 0 {
            return Err(wrong(at, "an entry is encrypted"));
        }
        if method != 0 && method != 8 {
            return Err(wrong(at, format!("an entry is compressed by method {method}, which is not deflate")));
        }
        // In the order in which the extra field holds those that do not fit.
        let mut sizes = [number::<4>(bytes, at + 24)?, number::<4>(bytes, at + 20)?, number::<4>(bytes, at + 42)?];
        let mut fields = extra;
        while fields.len() >= 4 {
            let (id, length) = (number::<2>(fields, 0)?, number::<2>(fields, 2)?);
            let field = fields.get(4..4 + length).ok_or_else(|| wrong(at, "an extra field is cut off"))?;
            if id == EXTRA_64 {
                for (i, size) in sizes.iter_mut().filter(|size| **size == ELSEWHERE).enumerate() {
                    *size = number::<8>(field, 8 * i).map_err(|_| wrong(at, "the sizes of an entry are cut off"))?;
                }
                break;
            }
            fields = &fields[4 + length..];
        }
        let [size, packed, offset] = sizes;
        if offset > bytes.len() {
            return Err(wrong(at, "an entry lies beyond the end of the file"));
        }
        Ok(Self { offset, packed, size, checksum: number::<4>(bytes, at + 16)? as u32, deflated: method == 8 })
    }
}

/// Where the directory starts, its bytes, and how many entries it has.
fn directory(bytes: &[u8]) -> Result<(usize, usize, usize), FormatError> {
    // The record at the end has a comment behind it, of at most 65,535 bytes.
    let last = bytes.len().checked_sub(END_BYTES);
    let places = last.map_or(0..0, |last| last.saturating_sub(usize::from(u16::MAX))..last + 1);
    let whole = |&at: &usize| {
        is(bytes, at, END) && number::<2>(bytes, at + 20).is_ok_and(|comment| at + END_BYTES + comment == bytes.len())
    };
    let end = places.rev().find(whole);
    let end = end.ok_or_else(|| wrong(bytes.len(), "the file is cut off: the directory at its end is missing"))?;
    if let Some(locator) = end.checked_sub(LOCATOR_64_BYTES).filter(|&at| is(bytes, at, LOCATOR_64)) {
        let at = number::<8>(bytes, locator + 8)?;
        if !is(bytes, at, END_64) {
            return Err(wrong(locator, "the directory's sizes are not where they should be"));
        }
        return Ok((number::<8>(bytes, at + 48)?, number::<8>(bytes, at + 40)?, number::<8>(bytes, at + 32)?));
    }
    Ok((number::<4>(bytes, end + 16)?, number::<4>(bytes, end + 12)?, number::<2>(bytes, end + 10)?))
}
